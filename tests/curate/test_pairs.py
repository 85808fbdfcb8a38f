import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.curate.judged import judged_groups
from minireason.curate.ledger import Ledger
from minireason.curate.pairs import PairSelection, num_shared, preference_pairs
from minireason.errors import DataError


def made(world, selection=None, *, may_be_empty=False, **settings):
    """The pairs of a world and their closed account."""
    ledger = Ledger()
    groups = judged_groups(*world)
    pairs = list(preference_pairs(groups, selection or PairSelection(), ledger, **settings))
    ledger.close(2 * len(pairs), "rollouts in preference pairs", may_be_empty=may_be_empty)
    return pairs, ledger


def ids(pairs):
    return [pair.id for pair in pairs]


def test_correct_is_preferred_over_incorrect_of_the_same_question(judged):
    [pair], ledger = made(judged({"a": "i9 c9", "b": "c9 c9", "d": "i9"}), system_prompt="Think.")
    assert [m["role"] for m in pair.prompt] == ["system", "user"]
    assert pair.chosen == [{"role": "assistant", "content": "a response 1"}]
    assert pair.rejected == [{"role": "assistant", "content": "a response 0"}]
    assert ledger.as_dict() == {
        "in": 5,
        "out": 2,
        "dropped: question without a correct response": 1,
        "dropped: question without an incorrect response": 2,
    }


def test_lengths_may_differ_by_the_factor_and_no_more(judged):
    world = judged({"a": "c10 i20", "b": "c10 i21"})
    pairs, ledger = made(world, PairSelection(max_length_ratio=2.0))
    assert ids(pairs) == ["a#0>1"]
    assert ledger.dropped == {"no partner within the length ratio": 2}


def test_each_response_is_used_once_and_a_question_gives_so_many(judged):
    world = judged({"a": "c9 c9 c9 i9 i9 i9"})
    pairs, _ = made(world)
    assert len(pairs) == 3 and len({i for pair in pairs for i in pair.id[2:].split(">")}) == 6
    pairs, ledger = made(world, PairSelection(per_question=2))
    assert len(pairs) == 2
    assert ledger.dropped == {"every partner taken, or over the pairs a question": 2}


def test_rejected_that_begins_like_the_chosen_comes_first(judged):
    texts = {("a", 0): "x = 1, y = 2", ("a", 1): "Guess: 3", ("a", 2): "x = 1, y = 5"}
    world = judged({"a": "c9 i9 i9"}, responses=texts)
    assert ids(made(world, PairSelection(per_question=1))[0]) == ["a#0>2"]
    seeds = {
        ids(made(world, PairSelection(prefers_shared_prefix=False, seed=s))[0])[0]
        for s in range(10)
    }
    assert seeds == {"a#0>1", "a#0>2"}


@pytest.mark.parametrize(
    ("setting", "groups"), [("rejects_unknown", "c9 u9"), ("rejects_truncated", "c9 i9!")]
)
def test_unknown_and_truncated_are_rejected_only_where_set(judged, setting, groups):
    world = judged({"a": groups, "sure": "c9 i9"})
    assert ids(made(world)[0]) == ["sure#0>1"]
    assert len(made(world, PairSelection(**{setting: True}))[0]) == 2


def test_truncated_response_is_never_chosen(judged):
    with pytest.raises(DataError, match="1 truncated"):
        made(judged({"a": "c9! i9"}), PairSelection(rejects_truncated=True))


WORD = st.builds("{}{}{}".format, st.sampled_from("ciu"), st.integers(0, 99), st.sampled_from(" !"))
GROUPS = st.lists(st.lists(WORD, max_size=8).map(" ".join), max_size=5)


@given(GROUPS, st.integers(1, 3), st.booleans(), st.booleans())
def test_account_holds_for_any_rollouts(judged, groups, per_question, unknown, truncated):
    world = judged({f"q{i}": group for i, group in enumerate(groups)} | {"sure": "c9 i9"})
    selection = PairSelection(
        per_question=per_question, rejects_unknown=unknown, rejects_truncated=truncated
    )
    pairs, ledger = made(world, selection)
    assert ledger.num_in == len(world[1]) == 2 * len(pairs) + ledger.dropped.total()
    assert pairs == made((world[0], world[1], world[2]), selection)[0]
    assert all(pair.chosen != pair.rejected for pair in pairs)


@given(st.text("ab"), st.text("ab"))
def test_shared_beginning_is_the_longest(first, second):
    n = num_shared(first, second)
    assert first[:n] == second[:n] and (first[: n + 1] != second[: n + 1] or first == second)


@pytest.mark.parametrize("wrong", [{"per_question": 0}, {"max_length_ratio": 0.5}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(DataError):
        PairSelection(**wrong)


def test_no_pairs_are_no_error_where_another_source_may_give_them(judged):
    with pytest.raises(DataError):
        made(judged({"a": "c9 c9"}))
    assert made(judged({"a": "c9 c9"}), may_be_empty=True)[0] == []
