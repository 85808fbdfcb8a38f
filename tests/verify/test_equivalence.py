"""The layers that need no worker, and the whole against the symbolic layer run in process."""

import pytest

from minireason.verify import Conventions
from minireason.verify.equivalence import compare

FAST = [
    ("42", "42", "correct", "identical"),
    (r"\frac{1}{2}", r"$\dfrac12$", "correct", "normalized"),
    ("0.5", r"\frac{1}{2}", "correct", "rational"),
    ("1/3", "0.3333", "incorrect", "rational"),
    ("9", "9%", "correct", "rational"),
    ("9", "8%", "incorrect", "rational"),
    ("0.5", "0.5%", "incorrect", "rational"),
    ("1", "1%", "incorrect", "rational"),
    ("1", "100%", "correct", "rational"),
    ("9%", "9", "correct", "rational"),
    ("9%", "0.09", "correct", "rational"),
    ("0.75", r"75\%", "correct", "rational"),
    ("1000", "1,000.0", "correct", "rational"),
    ("-3193", "3193", "incorrect", "rational"),
    ("13/8", r"1 \frac{5}{8}", "correct", "rational"),
    ("210", "2^{10}x", "incorrect", "polynomial"),
    ("256", "2^8", "correct", "polynomial"),
    (r"\frac{2\pi}{3}", "2", "incorrect", "polynomial"),
    (r"\sqrt{3+\sqrt{2}}", r"\sqrt{3}", "incorrect", "numeric"),
    (r"\frac{1-e^{-t}}{s}", r"\frac{1}{s}-\frac{e^{-t}}{s}", "correct", "canonical"),
    (r"\frac{1}{x}-\frac{1}{x+1}", r"\frac{1}{x^2+x}", "correct", "numeric"),
    ("-1", "2^{1004}", "incorrect", "rational"),
    ("2^{1004}", "4^{502}", "correct", "rational"),
    ("100", "200!", "incorrect", "rational"),
    ("9", "9^{9^{9^9}}", None, None),
    (r"\frac{17}{50}", r"\frac{34}{100}=\frac{17}{50}", "correct", "rational"),
    (r"\frac{7}{22}", r"\frac{860}{220}=\frac{43}{11}", "incorrect", "rational"),
    ("1940", "2002-56-6=1930", None, None),
    ("5", "x+1=5", None, None),
    ("f(z)=z^2", "f(x)=x^2", "correct", "rational"),
    ("X_d=125-1.25P", "P=100-0.8X_d", "correct", "canonical"),
    ("X_d=125-1.25P", "P=25-0.05X_d", "incorrect", "numeric"),
    (r"(-\infty,-5)", "k<-5", "correct", "structured"),
    ("CAB", "ABC", None, None),
    ("4343_6", "4343", "correct", "rational"),
    ("4343_6", "4343_{6}", "correct", "normalized"),
    ("4343_6", "4344_6", "incorrect", "rational"),
    ("4343_6", "999", "incorrect", "rational"),
    ("4343_6", "4343_7", "incorrect", "rational"),
    ("1A_{16}", "1a_{16}", "correct", "rational"),
    ("2", "10_2", "unknown", "rational"),
    ("3", "three", "correct", "normalized"),
    ("21", "twenty-one", "unknown", "text"),
    ("0", "none", "unknown", "text"),
    ("5", "no solution", "incorrect", "text"),
    ("18", "different", "incorrect", "text"),
    ("4:30 p.m.", r"4:30 \text{ PM}", "correct", "text"),
    ("5am", r"5\text{pm}", "incorrect", "text"),
    (r"\cos 40^\circ", r"\cos\frac{2\pi}{9}", "correct", "canonical"),
    (r"x_0\cos(\omegat)", r"x_0\cos(\omega t)", "correct", "normalized"),
    (r"100p^{\frac{1}{2}}", r"100\sqrt{P}", "correct", "canonical"),
    ("15000", r"15000 \text{ kcal m}^{-2} \text{yr}^{-1}", "correct", "normalized"),
    ("36", "36 mL", "correct", "normalized"),
    ("2.13e9", "2.13 x 10^9", "correct", "rational"),
    (r"1+\sqrt{\frac{q}{}}", r"1+\sqrt{q}", "unknown", "input"),
    ("(A) 4^x", "A", "correct", "choice"),
    ("(A) 4^x", "B", "incorrect", "choice"),
    ("(A) 4^x", "4^{x}", "correct", "normalized"),
    ("(A) 4^x", "8^x", "incorrect", "numeric"),
    ("7", "%" * 2000, None, None),
    (r"45^\circ", r"\frac{\pi}{4}", "correct", "polynomial"),
    (r"45^\circ", r"\frac{\pi}{3}", "incorrect", "polynomial"),
    ("17", "17 apples", "correct", "normalized"),
    ("17", "18 apples", "incorrect", "rational"),
    (r"\frac{3}{4}", "3/4 of the cake", "correct", "rational"),
    ("25", "5 squared", None, None),
    ("5", "5 million", None, None),
    ("18", "18_{10}", "correct", "rational"),
    (r"0.1\overline{6}", "1/6", "correct", "rational"),
    (r"-0.\overline{45}", r"-\frac{5}{11}", "correct", "rational"),
    (r"0.\overline{3}", "0.3", "incorrect", "rational"),
    (
        r"\begin{pmatrix}1\\2\end{pmatrix}",
        r"\begin{bmatrix}1\\2\end{bmatrix}",
        "correct",
        "structured",
    ),
    (
        r"\begin{vmatrix}1\\2\end{vmatrix}",
        r"\begin{bmatrix}1\\2\end{bmatrix}",
        "incorrect",
        "structured",
    ),
    ("x=2", "2", "correct", "rational"),
    ("2=x", "2", "correct", "rational"),
    (r"\text{Evelyn}", "evelyn", "correct", "text"),
    ("odd", r"\text{oddd}", "incorrect", "text"),
    ("(1,4.5)", r"(1,\frac{9}{2})", "correct", "structured"),
    ("(0,9)", "[0,9)", "incorrect", "structured"),
    ("(1,2)", "(2,1)", "incorrect", "structured"),
    ("1,2", "2,1", "correct", "structured"),
    (r"\{3, 2, 1\}", "1, 2, 3", "correct", "structured"),
    ("4, 12, 2", "10, 4, 2", "incorrect", "structured"),
    ("12", "(1,2)", "incorrect", "structured"),
    (r"\pm 2021", "-2021, 2021", "correct", "structured"),
    ("p=5,q=2;p=7,q=2", "(5,2),(7,2)", "correct", "structured"),
    ("(p,q)=(3,2)", "(3, 2)", "correct", "structured"),
    (r"x \in [-2,7]", "[-2,7]", "correct", "structured"),
    (r"(2,12)\cup(12,102)", r"(12,102) \cup (2,12)", "correct", "structured"),
    ("12:00", "1:00", "incorrect", "structured"),
    ("C", "(C)", "correct", "choice"),
    ("C", "B", "incorrect", "choice"),
    ("(B)", r"\text{B}", "correct", "choice"),
    ("", "5", "unknown", "input"),
    ("5", "5" * 2001, "unknown", "input"),
]


@pytest.mark.parametrize(("reference", "answer", "verdict", "method"), FAST)
def test_the_first_decisive_layer_decides(reference, answer, verdict, method):
    decided = compare(reference, answer)
    assert (decided and decided.verdict) == verdict
    assert (decided and decided.method) == method


@pytest.mark.parametrize(("kind", "verdict"), [("choice", "unknown"), ("", "incorrect")])
def test_a_value_for_a_letter_is_unreadable_where_a_choice_was_asked(kind, verdict):
    decided = compare("C", "17", kind)
    assert (decided and decided.verdict) == verdict


CONVENTIONS = [
    ("percent_sign_optional", "9%", "9"),
    ("percent_sign_added", "9", "9%"),
    ("units_optional", "5", "5 cm"),
    ("base_optional", "43_6", "43"),
    ("ordered_tuples", "(1,2)", "(2,1)"),
    ("log_like_the_other", r"\ln 2", r"\log 2"),
    ("thousands_separators", "1,234", "1234"),
    ("decimal_comma", "1000.99", "1000,99"),
]


@pytest.mark.parametrize(("name", "reference", "answer"), CONVENTIONS)
def test_every_switch_changes_the_verdict_it_names(name, reference, answer):
    verdicts = {}
    for state in (True, False):
        decided = compare(reference, answer, conventions=Conventions(**{name: state}))
        verdicts[state] = decided is not None and decided.verdict == "correct"
    is_strict = name == "ordered_tuples"
    assert verdicts == {True: not is_strict, False: is_strict}


def test_intervals_keep_their_order_whatever_tuples_do():
    decided = compare("[1,2]", "[2,1]", conventions=Conventions(ordered_tuples=False))
    assert decided is not None and decided.verdict == "incorrect"


def test_an_irrational_number_is_rounded_to_as_many_places_as_the_convention_says(verifier):
    from minireason.verify import Verifier

    with Verifier(conventions=Conventions(irrational_places=4)) as lenient:
        assert lenient.compare("1.4142", r"\sqrt{2}").verdict == "correct"
    assert verifier.compare("1.4142", r"\sqrt{2}").verdict == "incorrect"


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5+2\sqrt{6}}"),  # constants only
        (r"\sqrt{x^2}", "x"),
        (r"\cos(2x)", "f(x)"),
        (r"\cos(2x)", r"2\cos^2(x)-1"),  # agree everywhere, for the symbolic layer to confirm
        (r"\lfloor\frac{x}{90}\rfloor", r"\lfloor\frac{x}{91}\rfloor"),  # steps meet by chance
    ],
)
def test_other_agreements_of_values_prove_nothing(reference, answer):
    assert compare(reference, answer) is None


def test_equal_constants_that_the_symbolic_layer_denies_are_unknown():
    reference, answer = r"\sqrt{2}+\sqrt{3}", r"\sqrt{5+2\sqrt{6}}"
    decided = compare(reference, answer, symbolic=lambda gold, given: False)
    assert decided is not None and decided.verdict == "unknown"


SYMBOLIC = [
    (r"3\sqrt{13}", r"\sqrt{117}", True),
    (r"\frac{9}{4}\pi", r"\frac94\pi", True),
    (r"168+48\sqrt{7}", r"24(7+2\sqrt{7})", True),
    (r"x^{2}+2x+1", "(x+1)^2", True),
    (r"x^2+2x+1", "x^3+2x+1", False),
    (r"\tan^2(y)+1", r"\sec^2(y)", True),
    (r"\sqrt{3}", r"\sqrt{2}", False),
    (r"12\pi", "36", False),
    ("12\\pi", r"12\phi", False),
    ("x < 1", "-x > -1", True),
    ("x > 5", "x < 5", False),
    (r"\binom{10}{3}", "120", True),
    (r"\frac{\sqrt{7}}{12}", r"\sqrt{\frac{7}{12}}", False),
    (r"2^{10}", "1024", True),
    (r"\frac{1}{3}x", r"\frac{1}{3x}", False),
]


@pytest.fixture(scope="module")
def verifier():
    from minireason.verify import Verifier

    with Verifier() as verifier:
        yield verifier


@pytest.mark.parametrize(("reference", "answer", "equal"), SYMBOLIC)
def test_the_symbolic_layer_agrees_with_math_verify(verifier, reference, answer, equal):
    from math_verify import parse, verify

    assert verify(parse(f"${reference}$"), parse(f"${answer}$")) is equal
    assert verifier.compare(answer, reference).verdict == ("correct" if equal else "incorrect")


@pytest.mark.parametrize(
    ("reference", "answer", "verdict"),
    [
        (r"(1, 2\sqrt{3})", r"(1, \sqrt{12})", "correct"),
        (r"(1, 2\sqrt{3})", r"(1, \sqrt{13})", "incorrect"),
        (r"\{\sqrt{8}, 1\}", r"1, 2\sqrt{2}", "correct"),
        (r"1 \pm \sqrt{20}", r"1-2\sqrt{5}, 1+2\sqrt{5}", "correct"),
        (r"0<f(x)<1", "(0,1)", "correct"),
        (r"\sqrt{2}", "1.4142135623730951", "correct"),
        (r"\sqrt{2}", "1.41421", "incorrect"),
        ("5am", r"5\text{pm}", "incorrect"),
        ("5am", r"5\text{ am}", "correct"),
        ("3m", "3", "incorrect"),
        ("5", r"\frac{", "unknown"),
        ("2", "10_2", "unknown"),
        ("y=2x+1", "y-2x-1=0", "correct"),
        ("y=2x+1", "y-2x-2=0", "incorrect"),
        ("y=2x+1", "2x+1", "correct"),
        (r"\sqrt{r^2s}", r"r\sqrt{s}", "unknown"),
        (
            r"\frac{2-\omega^{2}-\omega i/4}{\omega^{4}-\frac{63}{16}\omega^{2}+4}",
            r"\frac{1}{-\omega^2+\frac{1}{4}i\omega+2}",
            "correct",
        ),
    ],
)
def test_structure_and_symbols_work_together(verifier, reference, answer, verdict):
    assert verifier.compare(answer, reference).verdict == verdict


@pytest.mark.parametrize(
    ("reference", "answer", "digits", "verdict"),
    [
        ("1/12", "0.0833333", 5, "correct"),
        ("1/12", "0.0833", 5, "incorrect"),
        ("1/12", "0.0833333", 0, "incorrect"),
        ("3.1416", "3.14159", 5, "correct"),
        ("3.14159", "3.1416", 5, "correct"),
        ("3.1415", "3.14159", 5, "incorrect"),
        ("8/3", "2.6667", 5, "correct"),
        ("8/3", "2.6666", 5, "incorrect"),
        ("12345", "12345.4", 5, "incorrect"),
        ("(1/3, 2]", "(0.33333, 2]", 5, "correct"),
    ],
)
def test_a_decimal_of_enough_digits_may_be_rounded(reference, answer, digits, verdict):
    decided = compare(reference, answer, conventions=Conventions(rounded_digits=digits))
    assert decided is not None and decided.verdict == verdict


@pytest.mark.parametrize(
    ("reference", "answer", "verdict"),
    [
        ("1000.99", "1000,99", "correct"),
        ("0,111", "$0.111$", "correct"),
        ("1000.99", "1000,98", "incorrect"),
        ("1,2", "2,1", "correct"),
        ("3,5", "3,5", "correct"),
        ("1234", "1,234", "correct"),
    ],
)
def test_a_decimal_comma_counts_beside_a_decimal_point(reference, answer, verdict):
    decided = compare(reference, answer)
    assert decided is not None and decided.verdict == verdict


def test_without_the_convention_a_decimal_comma_is_a_list():
    decided = compare("1000.99", "1000,99", conventions=Conventions(decimal_comma=False))
    assert decided is not None and decided.verdict == "incorrect"
