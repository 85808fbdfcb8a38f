import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.curate.ledger import Ledger
from minireason.errors import DataError


@given(st.integers(0, 50), st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9))))
def test_in_is_out_plus_dropped(num_out, drops):
    ledger = Ledger(num_out + sum(count for _, count in drops))
    for reason, count in drops:
        ledger.drop(reason, count)
    counts = ledger.as_dict()
    assert counts.pop("in") == counts.pop("out") + sum(counts.values())
    assert ledger.num_out == num_out


def test_reasons_are_listed_by_name_and_zero_drops_are_not():
    ledger = Ledger(5)
    ledger.drop("truncated")
    ledger.drop("incorrect", 2)
    ledger.drop("never", 0)
    assert list(ledger.as_dict().items()) == [
        ("in", 5),
        ("out", 2),
        ("dropped: incorrect", 2),
        ("dropped: truncated", 1),
    ]


def test_empty_selection_names_the_filters_with_their_counts():
    ledger = Ledger(3)
    ledger.drop("truncated")
    ledger.drop("incorrect", 2)
    with pytest.raises(DataError, match="no pairs left of 3 rows; dropped: 2 incorrect, 1 trunc"):
        ledger.close(0, "pairs")


def test_empty_input_is_said():
    with pytest.raises(DataError, match="no pairs: the input is empty"):
        Ledger(0).close(0, "pairs")


def test_a_row_lost_without_a_reason_is_a_mistake_in_the_code():
    with pytest.raises(RuntimeError, match="3 in, 0 dropped, but 2 out"):
        Ledger(3).close(2, "pairs")


def test_tokens_have_an_account_of_their_own():
    ledger = Ledger()
    ledger.take(2, 30)
    ledger.take(1, 12)
    ledger.drop("truncated", 1, 12)
    assert ledger.as_dict("sft ") == {
        "sft in": 3,
        "sft out": 2,
        "sft dropped: truncated": 1,
        "sft tokens in": 42,
        "sft tokens out": 30,
        "sft tokens dropped: truncated": 12,
    }
