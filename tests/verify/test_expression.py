import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.verify.expression import names, read_expression
from minireason.verify.value import evaluate

VALUES = [
    ("1+2*3", 7),
    ("-2^2", -4),
    ("2-3-4", -5),
    ("12/4/3", 1),
    ("2^{3^2}", 512),
    (r"\frac{1}{2}\sqrt{16}", 2),
    (r"\sqrt[3]{8}", 2),
    ("[1+2]^2", 9),
    (r"\sin^2 1+\cos^2 1", 1),
    (r"\sin^{-1}(0.5)*6-\pi", 0),
    (r"\log_{2}(8)", 3),
    (r"\log_2 8", 3),
    (r"\lg 1000", 3),
    (r"\ln e^2", None),
    (r"\cos\frac{\pi}{3}", 0.5),
    (r"\cos 2\pi", 1),
    (r"\exp(0)", 1),
    ("e^{i\\pi}", -1),
    (".5*4", 2),
]


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_an_expression_has_its_usual_value(text, value):
    tree = read_expression(text)
    if value is None:
        assert tree is None
    else:
        ball = evaluate(tree, {})
        assert abs(ball.centre - value) <= ball.radius + 1e-15


AMBIGUOUS = [
    "1/2x",
    "x2",
    "f(x)",
    "I(0)",
    "x(t)",
    "f(x+1)",
    r"2\frac{1}{3}",
    r"\sin x^2",
    r"\sin(x)^2",
    r"\ln 2x",
    r"\ln 2/3",
    r"\ln 2*3",
    r"\sin xy",
    r"\sin 30",
    r"\frac{dx}{dt}",
    r"\frac{d\omega}{dt}",
    "x^2+C",
    "C_1e^x",
    "abc",
    "cos(x)",
    "x^10",
    "|x|",
    "5!!",
    "2^3!",
    r"\pm 2",
    r"\dot{x}",
    r"\lfloor x)",
    "x=2",
    "1,2",
    "5%",
    "",
    "+",
    "(1",
    "(1]",
    r"\sqrt[0]{2}",
    r"\sqrt[1.5]{2}",
    r"\tan^{-2}(x)",
]


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_what_may_be_read_in_two_ways_is_not_read(text):
    assert read_expression(text) is None


def test_a_name_before_a_sum_is_a_factor_and_keeps_its_subscript():
    assert names(read_expression(r"n(n+1)+x_0\omega_{12}")) == {"n", "x_0", r"\omega_12"}


def test_length_and_depth_are_bounded():
    assert read_expression("x+" * 300 + "1") is None
    assert read_expression("(" * 50 + "1" + ")" * 50) is None


PIECES = [*"12x()[]{}^_*/+- .", "\\sin", "\\frac", "\\sqrt", "\\log"]


@given(st.lists(st.sampled_from(PIECES)))
def test_reading_never_fails(pieces):
    read_expression("".join(pieces))
