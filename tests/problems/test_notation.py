"""Numbers and expressions are written as answers are compared."""

import pytest

from minireason.problems.notation import fraction, kind_of, multiple, polynomial, root


@pytest.mark.parametrize(
    ("coefficients", "text"),
    [((1, -5, 6), "x^2-5x+6"), ((-1, 0, 1), "-x^2+1"), ((0, 0), "0"), ((3, 1), "3x+1")],
)
def test_polynomial(coefficients: tuple[int, ...], text: str) -> None:
    assert polynomial(coefficients) == text


def test_polynomial_with_stars() -> None:
    assert polynomial((3, -1, 5), star="*") == "3*x^2-x+5"


def test_numbers() -> None:
    assert [fraction(n, d) for n, d in ((3, 1), (3, 4), (-3, 4))] == [
        "3",
        r"\frac{3}{4}",
        r"-\frac{3}{4}",
    ]
    assert [multiple(n, "x") for n in (0, 1, -1, 12)] == ["0", "x", "-x", "12x"]
    assert [root(5, 1), root(1, 3), root(2, 3)] == ["5", r"\sqrt{3}", r"2\sqrt{3}"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("-12", "integer"),
        (r"-\frac{3}{4}", "fraction"),
        ("(2,3)", "tuple"),
        (r"2\pi", "expression"),
    ],
)
def test_kind_is_read_off_the_answer(answer: str, kind: str) -> None:
    assert kind_of(answer) == kind
