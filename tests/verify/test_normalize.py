from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.verify import Conventions
from minireason.verify.normalize import normalize
from minireason.verify.reading import read, read_rational, split_top

SPELLINGS = [
    (r"$\dfrac{1}{2}$", r"\frac{1}{2}"),
    (r"\frac12", r"\frac{1}{2}"),
    (r"\frac1{72}", r"\frac{1}{72}"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\frac{\pi}{2})"),
    (r"\sqrt 2 + √3", r"\sqrt{2}+\sqrt{3}"),
    ("sqrt(3) − 1", r"\sqrt{3}-1"),
    ("2**(1/4)", "2^{1/4}"),
    (r"32,\!349", "32349"),
    ("1 000", "1000"),
    (r"14{,}916", "14916"),
    (r"\$16386.17", "16386.17"),
    (r"10\text{ cm}", "10"),
    (r"15\mbox{ cm}^2", "15"),
    ("125 miles", "125"),
    (r"74^\circ", "74"),
    ("74°", "74"),
    ("28 percent", "28%"),
    (r"28\%.", "28%"),
    ("x >= 5", r"x\geq 5".replace(" ", "")),
    ("19, 46, \\text{ and } 82", "19,46,82"),
    ("2 1/2", r"2\frac{1}{2}"),
    (r"(1, +\infty)", r"(1,\infty)"),
    ("π", r"\pi"),
    (r"\frac{37}{4}m", r"\frac{37}{4}m"),
]


@pytest.mark.parametrize(("answer", "canonical"), SPELLINGS)
def test_spellings_of_one_answer_meet(answer, canonical):
    assert normalize(answer) == canonical


def test_conventions_switch_units_and_thousands():
    plain = Conventions(units_optional=False, thousands_separators=False)
    assert normalize("1,234", plain) == "1,234"
    assert normalize("10 miles", plain) != "10"


def test_a_tuple_never_reads_its_commas_as_thousands():
    assert normalize("1,234", kind="tuple") == "1,234"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-7", Fraction(-7)),
        (".5", Fraction(1, 2)),
        (r"-\frac{3}{4}", Fraction(-3, 4)),
        (r"\frac{-3}{4}", Fraction(-3, 4)),
        ("3/4", Fraction(3, 4)),
        (r"1\frac{5}{8}", Fraction(13, 8)),
        (r"-1\frac{1}{2}", Fraction(-3, 2)),
        (r"2\frac{5}{3}", None),
        ("33.5%", Fraction(67, 200)),
        ("1.5*10^{3}", Fraction(1500)),
        ("2e-2", Fraction(1, 50)),
        ("1e99999999", None),
        ("1/0", None),
        ("x", None),
        ("٣", Fraction(3)),
    ],
)
def test_rationals_are_read_exactly(text, value):
    assert read_rational(text) == value


@pytest.mark.parametrize(
    ("text", "shape", "num_items"),
    [
        ("(1,2)", "group", 2),
        ("[0,9)", "group", 2),
        (r"\{1,2,3\}", "set", 3),
        ("1,2", "list", 2),
        (r"1\pm\sqrt{5}", "list", 2),
        (r"(2,12)\cup(12,102)", "union", 2),
        (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", "matrix", 2),
        ("11:21", "group", 2),
        ("x=(3,2)", "group", 2),
        ("(x-2)(x+2)", "leaf", 0),
        ("(5)", "leaf", 0),
    ],
)
def test_structure_is_read(text, shape, num_items):
    answer = read(text)
    assert (answer.shape, len(answer.items)) == (shape, num_items)


def test_commas_inside_brackets_do_not_split():
    assert split_top(r"(1,2),\{3,4\},f(5,6)", ",") == ["(1,2)", r"\{3,4\}", "f(5,6)"]


@given(st.text(alphabet=st.sampled_from(list("\\{}()[]$,;:=%^ 0123frac")), max_size=200))
def test_reading_never_fails(text):
    read(normalize(text))


def test_deep_nesting_stays_a_leaf_instead_of_a_recursion_error():
    read("(1," * 900 + ")" * 900)
    read(normalize("{" * 900 + "1" + "}" * 900))
