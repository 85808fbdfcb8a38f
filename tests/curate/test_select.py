import pytest
from hypothesis import given
from hypothesis import strategies as st

from minireason.curate.select import SftSelection, midtrain_examples, sft_examples
from minireason.errors import DataError


def ids(examples):
    return [example.id for example in examples]


def test_midtraining_takes_every_correct_response_that_ended(judged):
    examples, ledger = midtrain_examples(*judged({"a": "c9 i9 c9", "b": "u9 c9!", "d": "c1"}))
    assert ids(examples) == ["a#0", "a#2", "d#0"]
    assert ledger.as_dict() == {
        "in": 6,
        "out": 3,
        "dropped: incorrect": 1,
        "dropped: truncated": 1,
        "dropped: unknown": 1,
    }


def test_example_is_a_conversation_with_the_questions_annotations(judged):
    world = judged({"a": "c1"}, levels={"a": "college"}, domains={"a": "geometry"})
    [example], _ = midtrain_examples(*world, system_prompt="Think.")
    assert example.messages == [
        {"role": "system", "content": "Think."},
        {"role": "user", "content": "text of a"},
        {"role": "assistant", "content": "a response 0"},
    ]
    assert (example.domain, example.level) == ("geometry", "college")


def test_repetitive_responses_are_dropped_where_asked(judged):
    world = judged({"a": "c1 c1"}, responses={("a", 0): "and again " * 100})
    assert ids(midtrain_examples(*world)[0]) == ["a#0", "a#1"]
    examples, ledger = midtrain_examples(*world, max_repetition=0.5)
    assert ids(examples) == ["a#1"] and ledger.dropped == {"repetitive": 1}


def test_sft_takes_from_the_shorter_half_but_nothing_degenerate(judged):
    # Median 100, so 20 is degenerate; of 90, 100, 110, 120 the shorter half is 90 and 100.
    world = judged({"a": "c120 c20 c100 c110 c90"})
    examples, ledger = sft_examples(*world, SftSelection(per_question=5))
    assert ids(examples) == ["a#2", "a#4"]
    assert ledger.dropped == {
        "degenerate: far shorter than the others": 1,
        "in the longer half": 2,
    }


def test_sft_drops_identical_responses_and_those_over_the_number(judged):
    world = judged({"a": "c9 c9 c9 c9 c9"}, responses={("a", 0): "same", ("a", 1): "same"})
    examples, ledger = sft_examples(*world)
    assert len(examples) == 1
    assert ledger.dropped == {
        "identical response": 1,
        "in the longer half": 2,
        "over the number a question": 1,
    }


def test_sft_prefers_questions_with_a_low_pass_rate(judged):
    world = judged({"easy": "c9 c9", "hard": "c9 i9 i9", "medium": "c9 i9"})
    assert ids(sft_examples(*world, SftSelection(size=2))[0]) == ["hard#0", "medium#0"]


def test_sft_prefers_higher_levels_and_lets_domains_take_turns(judged):
    groups = {f"{d}{e}{i}": "c9" for d in "ag" for e in "eh" for i in range(5)}
    world = judged(
        groups,
        levels={id: "elementary" if id[1] == "e" else "high" for id in groups},
        domains={id: "algebra" if id[0] == "a" else "geometry" for id in groups},
    )
    for size, cells in [(2, {"ah", "gh"}), (4, {"ah", "gh", "ae", "ge"})]:
        chosen = ids(sft_examples(*world, SftSelection(size=size))[0])
        assert sorted(id[:2] for id in chosen) == sorted(cells)


def test_sft_choice_depends_on_the_seed_and_not_on_the_order_of_rollouts(judged):
    questions, rollouts, verdicts = judged({f"q{i}": "c9 c9 c9 c9" for i in range(20)})
    first = ids(sft_examples(questions, rollouts, verdicts)[0])
    assert ids(sft_examples(questions, rollouts[::-1], verdicts[::-1])[0]) == first
    assert ids(sft_examples(questions, rollouts, verdicts, SftSelection(seed=1))[0]) != first


def test_empty_selection_names_the_filter(judged):
    with pytest.raises(DataError, match="no SFT examples left of 2 rows; dropped: 2 incorrect"):
        sft_examples(*judged({"a": "i1 i2"}))


WORD = st.builds("{}{}{}".format, st.sampled_from("ciu"), st.integers(0, 99), st.sampled_from(" !"))
GROUPS = st.lists(st.lists(WORD, max_size=6).map(" ".join), min_size=1, max_size=6)


@given(GROUPS, st.integers(1, 5), st.integers(1, 3))
def test_account_holds_and_limits_are_kept_for_any_rollouts(judged, groups, size, per_question):
    world = judged({f"q{i}": group for i, group in enumerate(groups)} | {"sure": "c9"})
    examples, ledger = sft_examples(*world, SftSelection(size=size, per_question=per_question))
    assert ledger.num_in == len(world[1]) == len(examples) + ledger.dropped.total()
    taken = [id.split("#")[0] for id in ids(examples)]
    assert len(examples) <= size
    assert all(taken.count(id) <= per_question for id in taken)


@pytest.mark.parametrize("wrong", [{"size": 0}, {"per_question": 0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(DataError):
        SftSelection(**wrong)
