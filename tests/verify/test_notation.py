import pytest

from minireason.verify.expression import names, read_expression
from minireason.verify.notation import has_words, with_own_names


def read(text, **options):
    return read_expression(with_own_names(text, **options), is_wide=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (r"\frac{dx}{dt}", r"\dot{x}"),
        (r"\frac{d^2\theta}{dt^2}", r"\ddot{\theta}"),
        (r"\dot{x}_0", r"\dot{x_0}"),
        (r"2\dot{x}+x(0)", r"2*\dot{x}+x(0)"),
    ],
)
def test_two_notations_of_a_derivative_are_one_name(one, other):
    assert names(read(one)) == names(read(other)) != frozenset()


def test_different_derivatives_and_initial_values_have_different_names():
    texts = [r"\dot{x}", r"\ddot{x}", r"\dot{y}", r"\dot{x}_1", "x(0)", "x"]
    assert len({read(text) for text in texts}) == len(texts)


def test_a_function_of_zero_is_no_initial_value():
    assert with_own_names(r"\sin(0)+\ln(0)") == r"\sin(0)+\ln(0)"


def test_three_letters_are_read_as_a_product_and_as_a_word():
    assert has_words("LCs^2") and has_words("2dx") and not has_words(r"mg\cos x_d")
    assert names(read("abc")) == {"a", "b", "c"}
    assert len(names(read("abc+1", are_words=True))) == 1


@pytest.mark.parametrize("text", ["cos(x+1)", "max(a+1)", "2nforalln", "xmod3", "f(x)", "x(t)"])
def test_functions_and_prose_are_no_products(text):
    assert read(text) is None
