import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.verify.equation import compare_equations


def same(gold, answer):
    return compare_equations(gold, answer, 12)


PENDULUM = r"ml\ddot{\theta}(t)-mg\sin\theta(t)=f(t)\cos\theta(t)"


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("X_d=125-1.25P", "P=100-0.8X_d"),  # 125/1.25 = 100, 1/1.25 = 0.8
        ("y=2x+1", "2x-y+1=0"),
        ("xy=1", r"y=\frac{1}{x}"),
        (r"I\frac{d\omega}{dt}+2B\omega=T", r"\dot{\omega}=\frac{T-2B\omega}{I}"),
        (PENDULUM, r"\ddot{\theta}=\frac{g}{l}\sin\theta+\frac{f(t)}{ml}\cos\theta"),
    ],
)
def test_a_multiple_of_an_equation_is_the_same_equation(gold, answer):
    assert same(gold, answer) is True


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("X_d=125-1.25P", "P=25-0.05X_d"),
        ("X_d=125-1.25P", "Q=105-0.25P"),
        ("y=2x+1", "2x+y+1=0"),
        ("2x=4", "x=3"),
        (r"x=r\cos\theta", r"y=r\sin\theta"),
        ("x=x_0", "x=2x_0"),
        ("x(0)=1", "x(0)=2"),
        (PENDULUM, r"m\ddot{\theta}=f(t)-mg\tan\theta"),
        (PENDULUM, r"\frac{d^2\theta}{dt^2}=-\frac{g}{l}\sin\theta+\frac{f(t)}{ml}"),
        (r"\dot{x}=-kx", r"\dot{x}=kx"),
    ],
)
def test_equations_whose_solutions_never_fit_each_other_are_different(gold, answer):
    assert same(gold, answer) is False


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        ("x^2=x", "x=1"),  # 0 is lost
        ("xy=x^2", "y=x"),  # x = 0 is lost
        ("x^2=4", "x=2"),  # linear in nothing
        ("y=x^2", r"x=\sqrt{y}"),  # the same for positive x
        ("y^2=x^2", "y=x"),
        ("x=5", "y=5"),  # another name for the same
        ("x=5", "y=6"),
        (r"r=a\cos\theta", "x^2+y^2=ax"),  # one circle in two coordinates
        (r"T=m\ddot{x}", r"T=\frac{mv^2}{R}"),  # the acceleration may be that
        ("MC=AC", "P=MC"),  # names of two letters
        ("SRAC=LRAC", "MC=SRAC"),
        ("y=x+C", "y=x+2C"),  # any constant
        ("f(x)=x", "f(x)=2x"),  # a function, not a product
        (r"y=\log x", r"y=\log_{10} x"),  # the base is not said
        ("x=1=y", "x=2"),
        ("x<1", "x=2"),
        ("0=0", "1=1"),
    ],
)
def test_what_may_be_the_same_or_cannot_be_solved_is_left_open(gold, answer):
    assert same(gold, answer) is None


NUMBERS = st.integers(-9, 9).filter(bool)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_a_line_is_itself_whatever_it_is_multiplied_by_and_never_a_parallel(a, b, c, k, shift):
    line = f"({a})x+({b})y={c}"
    assert same(line, f"({k * a})x={k * c}-({k * b})y") is True
    assert same(line, f"y=\\frac{{{c}-({a})x}}{{{b}}}") is True
    assert same(line, f"({k * a})x+({k * b})y={k * (c + shift)}") is False
