"""Values against mpmath's, and the pairs that a layer of values must not call different."""

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason.verify.numeric import compare_values, is_true_chain, same_expression


def found(gold, given_text, places=12):
    return compare_values(gold, given_text, places)[0]


@pytest.mark.parametrize(
    ("gold", "given_text"),
    [
        (r"\sqrt{2}", r"\sqrt{3}"),
        (r"\sqrt{2}", "1.41421"),
        (r"2^{k-1}", "3^k"),
        (r"\frac{n(n+1)}{2}", "2n^2"),
        (r"\frac{1}{b-a}(e^{-at}-e^{-bt})", r"\frac{1}{a-b}(e^{-at}-e^{-bt})"),
        (r"\frac{1}{3}x", r"\frac{1}{3x}"),
        (r"\log 2", r"\log_{10}3"),
        (r"\frac{F}{m}t", r"\frac{1}{m}t"),
        ("4", "4n-1"),
        (r"10^{-20}\sqrt{2}x+1", "1+x"),
        (
            r"(P^{2/5}-\frac{z}{9K})^{5/2}",
            r"(P^{2/5}-\frac{z}{8K})^{5/2}",
        ),  # few points have a value
        (r"e^{-zt}\cos(\sqrt{1-z^2}t)", r"ze^{-2zt}"),
        (r"\frac{s}{s^2+a^2}", r"\frac{b}{s^2+b^2}"),  # whether b is a or not
        (r"\binom{2n}{n}", r"\frac{1}{n+1}\binom{2n}{n}"),
        ("n!", "(n+1)!"),
        ("n+1", r"\lceil\frac{n(n+1)+2}{4}\rceil"),
        ("abc+a", "a+b+c"),
        ("x^2+1", "x^2+x+C_1"),
        ("5", "Ae^t+c_1"),
        (r"\sin\frac{4}{5}", r"\cos\frac{4}{5}"),
    ],
)
def test_values_that_differ_everywhere_decide(gold, given_text):
    assert found(gold, given_text) == "differ"


@pytest.mark.parametrize(
    ("gold", "given_text"),
    [
        ("(-1)^n", r"\cos(n\pi)"),  # equal for integers
        (r"\sin(n\pi)", "0*n"),  # equal for integers
        (r"\sqrt{(1-x)^2}", "1-x"),  # equal below 1
        (r"\sqrt{1-\cos^2(x)}", r"\sin(x)"),  # equal for acute angles
        (r"\arcsin(\sin(x))", "x"),  # equal near zero
        (r"\sqrt{r^2s}", r"r\sqrt{s}"),  # equal for positive numbers
        (r"(-8)^{\frac{1}{3}}", "-2"),  # real to some, complex to others
        (r"\sqrt[3]{-8}", "-2"),
        (r"\ln 2", r"\log 2"),  # a base is not named
        ("5", "5N"),  # a unit
        ("x", "t"),  # only another name
        (r"\cos(2t)", "f(t)"),
        (r"\sin\frac{40}{5}", r"\cos 1"),  # eight degrees or radians
        (r"\frac{s}{s^2+a^2}", r"\frac{s}{s^2+b^2}"),
        ("2n^2+1", "F_{2n}"),  # may be defined so
        ("2n^2+n", "nF_{2n}"),
        ("A", "4^x"),
        (r"\frac{x}{r}+a", r"\cos\theta+a"),
        (r"\lfloor\frac{n}{2}\rfloor", r"\frac{n-1}{2}"),  # equal for odd n
        ("x+C_1", "x+2C_1"),
        (r"\sqrt{2}", "1.414213562373095"),
        (r"\frac{1}{0}", "2"),
    ],
)
def test_pairs_that_may_be_equal_are_not_called_different(gold, given_text):
    assert found(gold, given_text) != "differ"


def test_constants_of_integration_are_names_where_forms_are_equal():
    assert same_expression("C_1e^t+C_2", "C_2+e^tC_1")
    assert not same_expression("C_1e^t+C_2", "C_2e^t+C_1")


def test_letters_in_a_row_are_a_product_in_a_formula_and_nothing_alone():
    assert same_expression(r"\frac{def}{de+df}", r"\frac{fed}{fd+ed}")
    assert not same_expression("CAB", "ABC")


def test_a_chain_is_true_if_its_parts_are_equal():
    assert is_true_chain(r"\frac{860}{220}=\frac{43}{11}")
    assert is_true_chain(r"\frac{ab}{4ab}=\frac{1}{4}")
    assert not is_true_chain("2002-56-6=1930")
    assert not is_true_chain("x+1=5")


def test_an_agreement_for_some_numbers_only_is_said():
    assert found(r"\sqrt{r^2s}", r"r\sqrt{s}") == "agree in part"


def test_tiny_values_are_compared_beside_their_own_size():
    assert found(r"10^{-12}x\sqrt{2}", r"2*10^{-12}x\sqrt{2}") != "agree"


def test_a_wider_decimal_place_forgives_a_rounded_irrational():
    assert found(r"\sqrt{2}", "1.4142", places=12) == "differ"
    assert found(r"\sqrt{2}", "1.4142", places=4) is None


ATOMS = st.sampled_from(["x", "2", "3", "y", r"\pi"])


def combined(children):
    pairs = st.tuples(children, children)
    return st.one_of(
        pairs.map(lambda p: f"({p[0]}+{p[1]})"),
        pairs.map(lambda p: f"({p[0]}-{p[1]})"),
        pairs.map(lambda p: f"({p[0]})*({p[1]})"),
        pairs.map(lambda p: rf"\frac{{{p[0]}}}{{{p[1]}}}"),
        children.map(lambda c: rf"\sqrt{{({c})^2+1}}"),
        children.map(lambda c: rf"\sin({c})"),
        children.map(lambda c: f"({c})^2"),
    )


EXPRESSIONS = st.recursive(ATOMS, combined, max_leaves=6)


def to_python(text):
    """The same expression for Python's parser, written independently of ours."""
    plain = text.replace(r"\sqrt", "sqrt").replace(r"\sin", "sin").replace(r"\pi", "pi")
    while (start := plain.find(r"\frac")) >= 0:
        middle = closing(plain, start + 5)
        end = closing(plain, middle + 1)
        above, below = plain[start + 6 : middle], plain[middle + 2 : end]
        plain = f"{plain[:start]}(({above})/({below})){plain[end + 1 :]}"
    return plain.replace("{", "(").replace("}", ")").replace("^", "**")


def values(text):
    """Its values by mpmath to 40 digits at three points, None where it has none."""
    functions = {"sqrt": mpmath.sqrt, "sin": mpmath.sin, "pi": mpmath.pi}
    with mpmath.workdps(40):
        for x, y in (("0.31", "0.77"), ("3", "5"), ("-0.4", "-0.9")):
            point = {**functions, "x": mpmath.mpf(x), "y": mpmath.mpf(y)}
            try:
                yield eval(to_python(text), point)
            except ZeroDivisionError:
                yield None


def is_equal(one, other):
    pairs = zip(values(one), values(other), strict=True)
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return all(abs(a - b) < 1e-25 * (1 + abs(a)) for a, b in known)


def closing(text, start):
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] == "{") - (text[place] == "}")
        if depth == 0:
            return place
    raise AssertionError(text)


@settings(deadline=None, max_examples=100)
@given(EXPRESSIONS, EXPRESSIONS)
def test_the_verdict_of_the_values_is_that_of_mpmath(one, other):
    finding = found(one, other)
    assert finding != "differ" or not is_equal(one, other)
    assert finding != "agree" or is_equal(one, other)


@settings(deadline=None, max_examples=100)
@given(EXPRESSIONS)
def test_an_expression_never_differs_from_another_spelling_of_itself(text):
    for other in (f"({text})+x-x", f"({text})*1", rf"\frac{{{text}}}{{1}}", f"-(-({text}))"):
        assert found(text, other) != "differ"


@settings(deadline=None, max_examples=100)
@given(EXPRESSIONS, EXPRESSIONS)
def test_one_form_means_one_value(one, other):
    if same_expression(one, other):
        assert is_equal(one, other)
