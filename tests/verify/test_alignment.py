import pytest

from minireason.verify.alignment import align_angles, align_argument, align_case, align_logs


@pytest.mark.parametrize(
    ("gold", "given", "aligned"),
    [
        (r"100p^{\frac{1}{2}}", r"100\sqrt{P}", r"100\sqrt{p}"),
        ("p+P", "2p", "2p"),
        ("x", "x+X", "x+X"),
        ("e", "E", "E"),
        ("i", "I", "I"),
        (r"\omega", r"\Omega", r"\Omega"),
        ("x", "y", "y"),
    ],
)
def test_a_letter_takes_the_case_of_the_reference_unless_both_cases_occur(gold, given, aligned):
    assert align_case(gold, given) == aligned


@pytest.mark.parametrize(
    ("gold", "given", "expected"),
    [
        (r"\ln2", r"\log2", (r"\ln2", r"\ln2")),
        (r"\log_{10}250", r"\log250", (r"\log_{10}250", r"\log_{10}250")),
        (r"\log2", r"\lg2", (r"\log_{10}2", r"\lg2")),
        (r"\log2", r"\log3", (r"\log2", r"\log3")),
        (r"\log_{2}3", r"\log3", (r"\log_{2}3", r"\log3")),
        (r"\log_{100}3", r"\log3", (r"\log_{100}3", r"\log3")),
        (r"\ln2+\log_{10}2", r"\log2", (r"\ln2+\log_{10}2", r"\log2")),
    ],
)
def test_a_logarithm_of_no_base_takes_the_base_that_the_other_side_names(gold, given, expected):
    assert align_logs(gold, given) == expected


def test_degrees_are_radians_beside_a_pi_only():
    assert align_angles(r"\frac{\pi}{4}", r"45^\circ") == (r"\frac{\pi}{4}", r"\frac{45\pi}{180}")
    assert align_angles("45", "45°") == ("45", "45°")


@pytest.mark.parametrize(
    ("gold", "given", "aligned"),
    [
        ("f(n)=n^2", "f(x)=x^2", "f(n)=n^2"),
        ("f(n)=n^2", "f(x)=nx", "f(x)=nx"),  # n is something else
        ("f(n)=n^2", "g(x)=x^2", "g(x)=x^2"),
        (r"P(a)=\frac{1}{2}", r"P(b)=\frac{1}{2}", r"P(b)=\frac{1}{2}"),  # events or points
        ("f(n)=n^2", r"f(x)=\xi x", r"f(n)=\xi n"),
        ("f(n)=n", "f(x)=x=1", "f(x)=x=1"),
    ],
)
def test_the_argument_of_a_function_may_have_another_name(gold, given, aligned):
    assert align_argument(gold, given) == aligned
