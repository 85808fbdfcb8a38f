import pytest

from minireason.verify.clock import same_time


@pytest.mark.parametrize(
    ("reference", "answer", "expected"),
    [
        ("4:30 p.m", "4:30 pm", True),
        ("4:30 pm", "16:30", True),
        ("4:30 pm", "4:30", True),
        ("4:30 pm", "4:30 am", False),
        ("5am", "5 a.m", True),
        ("5am", "5pm", False),
        ("12 am", "12 pm", False),
        ("12:05 am", "0:05", True),
        ("4:30 pm", "4:31 pm", False),
        ("4:30", "4:30", None),
        ("16:30", "4:30", None),
        ("3", "4", None),
        ("noon", "12 pm", None),
    ],
)
def test_times_of_day_are_compared_where_one_of_them_says_which_half(reference, answer, expected):
    assert same_time(reference, answer) is expected
