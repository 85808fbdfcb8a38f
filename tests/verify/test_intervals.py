import pytest

from minireason.verify.intervals import compare_sets


@pytest.mark.parametrize(
    ("gold", "given"),
    [
        (r"(-\infty,-5)", "k<-5"),
        (r"(-\infty,-5)", "-5>k"),
        ("(3,4]", r"3<\lambda\leq 4"),
        (r"[\frac{1}{2},\infty)", r"x\geq 0.5"),
        ("[0,1]", r"1\geq x\geq 0"),
        (r"(0,1]\cup(1,2)", "0<x<2"),
        (r"(1,2)\cup(-\infty,0)", r"(-\infty,0)\cup(1,2)"),
    ],
)
def test_two_ways_to_say_one_set_are_the_same(gold, given):
    assert compare_sets(gold, given) is True


@pytest.mark.parametrize(
    ("gold", "given"),
    [
        (r"(-\infty,-5)", r"k\leq -5"),
        (r"(-\infty,-5)", "k>-5"),
        ("(3,4]", r"1\leq\lambda\leq 4"),
        (r"(-\infty,-5)", r"(-\infty,-4)\cup(-4,\infty)"),
        (r"(0,1)\cup(1,2)", "0<x<2"),  # 1 is missing
        (r"[0,1)\cup(1,2)", "[0,2)"),
    ],
)
def test_sets_with_another_end_or_hole_are_different(gold, given):
    assert compare_sets(gold, given) is False


@pytest.mark.parametrize(
    ("gold", "given"),
    [
        ("n<5", r"n\leq 4"),  # the same integers
        ("x<5", "y<5"),
        ("(2,4)", "(2,5)"),  # may be points
        ("(2,4)", "[2,4]"),
        (r"(0,\sqrt{2})", r"0<x<\sqrt{2}"),
        (r"(-\infty,0)", "x<y<0"),
        ("1<x>0", "(1,2)"),
        (r"[-\infty,0)", "x<0"),
        ("(2,1)", r"x<\infty"),
        ("2x<4", r"(-\infty,2)"),
        ("5", "x<5"),
    ],
)
def test_what_may_be_no_set_of_reals_is_left_open(gold, given):
    assert compare_sets(gold, given) is None
