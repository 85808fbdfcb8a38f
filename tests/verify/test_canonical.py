import pytest

from minireason.verify.canonical import NoFormError, form
from minireason.verify.expression import read_expression
from minireason.verify.numeric import same_expression

EQUAL = [
    (r"\frac{1-e^{-sT}}{s}", r"\frac{1}{s}-\frac{1}{s}e^{-Ts}"),
    (r"\frac{v_0}{r_0}\frac{1}{(1+r/r_0)^{3/2}}", r"\frac{v_0}{r_0(1+\frac{r}{r_0})^{3/2}}"),
    (r"\log{8}", r"3\log{2}"),
    (r"\ln{\frac{4}{9}}", r"2\ln{2}-2\ln{3}"),
    ("2^{k+1}", "2*2^k"),
    ("4^x", "2^{2x}"),
    ("6^x", "2^x*3^x"),
    (r"\sqrt{12x}", r"2\sqrt{3x}"),
    (r"\sqrt{-3}", r"i\sqrt{3}"),
    ("i^3", "-i"),
    ("e^{-1}", r"\frac{1}{e}"),
    (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}"),
    (r"\sqrt[3]{16}", r"2\sqrt[3]{2}"),
    (r"\cos(x-y)", r"\cos(y-x)"),
    (r"\sin(x-y)", r"-\sin(y-x)"),
    (r"\frac{2}{2x+2}", r"\frac{1}{x+1}"),
    (r"\frac{1}{x-y}", r"-\frac{1}{y-x}"),
    (r"\sqrt{x}\sqrt{x}", "x"),
    (r"(x+1)^3", "x^3+3x^2+3x+1"),
]


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_spellings_of_one_expression_have_one_form(one, other):
    assert same_expression(one, other)


UNEQUAL = [
    (r"\sqrt{x^2}", "x"),
    (r"\sqrt{xy}", r"\sqrt{x}\sqrt{y}"),
    ("(x^2)^{1/2}", "x"),
    (r"\ln(x^2)", r"2\ln(x)"),
    (r"\sqrt[3]{-8}", "-2"),
    (r"\cos(x)", r"\cos(-y)"),
    (r"\sin(x)", r"\sin(-x)"),
    ("(-4)^x", "4^x"),
    (r"\frac{x}{0}", r"\frac{y}{0}"),
    ("x", "y"),
]


@pytest.mark.parametrize(("one", "other"), UNEQUAL)
def test_what_is_equal_only_somewhere_has_no_common_form(one, other):
    assert not same_expression(one, other)


@pytest.mark.parametrize("text", ["(x+y+z+1)^{60}", "2^{9999}*x", r"\sqrt{1000003}", "x^{61}"])
def test_a_form_that_would_be_large_is_refused(text):
    with pytest.raises(NoFormError):
        form(read_expression(text))
