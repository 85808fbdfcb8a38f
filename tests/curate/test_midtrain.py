import pytest

from minireason.curate.judged import judged_groups
from minireason.curate.midtrain import (
    MidtrainSelection,
    annotate_group,
    midtrain_examples,
    midtrain_ledger,
)
from minireason.errors import DataError


def annotated(world, **settings):
    """(group, its annotations) of every question, each response counted as ten tokens."""
    selection = MidtrainSelection(**settings)
    return [(g, annotate_group(g, [10] * len(g), selection)) for g in judged_groups(*world)]


def reasons(world, **settings):
    return [a.dropped for _, found in annotated(world, **settings) for a in found]


def test_every_correct_response_that_ended_is_imitated_and_the_others_have_a_reason(judged):
    world = judged({"a": "c9 i9 c9", "b": "u9 c9!", "d": "c1"})
    assert reasons(world) == ["", "incorrect", "", "unknown", "truncated", ""]
    examples = [e.id for pair in annotated(world) for e in midtrain_examples(*pair)]
    assert examples == ["a#0", "a#2", "d#0"]


def test_the_account_counts_rows_and_tokens(judged):
    found = [a for _, group in annotated(judged({"a": "c9 i9 c9", "b": "u9"})) for a in group]
    assert midtrain_ledger(found).as_dict() == {
        "in": 4,
        "out": 2,
        "dropped: incorrect": 1,
        "dropped: unknown": 1,
        "tokens in": 40,
        "tokens out": 20,
        "tokens dropped: incorrect": 10,
        "tokens dropped: unknown": 10,
    }


def test_example_is_a_conversation_with_the_questions_annotations(judged):
    world = judged({"a": "c1"}, levels={"a": "college"}, domains={"a": "geometry"})
    [pair] = annotated(world)
    [example] = midtrain_examples(*pair, system_prompt="Think.")
    assert example.messages == [
        {"role": "system", "content": "Think."},
        {"role": "user", "content": "text of a"},
        {"role": "assistant", "content": "a response 0"},
    ]
    assert (example.domain, example.level) == ("geometry", "college")


def test_repetitive_responses_are_dropped(judged):
    world = judged({"a": "c1 c1"}, responses={("a", 0): "and again " * 100})
    assert reasons(world) == ["repetitive", ""]
    assert reasons(world, max_repetition=1.0) == ["", ""]


def test_a_response_in_another_script_is_dropped(judged):
    world = judged({"a": "c1 c1"}, responses={("a", 0): "So we get 因此我们得到答案是 5"})
    assert reasons(world) == ["in another script", ""]
    assert reasons(world, max_foreign=1.0) == ["", ""]


def test_a_repeated_response_counts_once_and_not_in_the_pass_rate(judged):
    world = judged({"a": "c9 c9 i9"}, responses={("a", 0): "the same", ("a", 1): "the  same\n"})
    [(_, found)] = annotated(world)
    assert [a.dropped for a in found] == ["", "identical response", "incorrect"]
    assert {a.pass_rate for a in found} == {0.5}


def test_what_is_known_of_a_response_stands_beside_it(judged):
    [(_, [fine, cut])] = annotated(judged({"a": "c1 i1!"}, responses={("a", 1): "no way " * 90}))
    assert (fine.is_truncated, fine.loop, fine.repeated_ngrams) == (False, 0.0, 0.0)
    assert (cut.is_truncated, cut.dropped, cut.loop) == (True, "incorrect", 1.0)
    assert cut.repetition == max(cut.loop, cut.repeated_ngrams, 2 * cut.compression - 1)


def test_quality_is_what_neither_repeats_nor_leaves_the_script(judged):
    [(_, [fine, loop])] = annotated(judged({"a": "c1 c1"}, responses={("a", 1): "no " * 90}))
    assert fine.quality == 1.0
    assert loop.quality == (1 - loop.repetition) * (1 - loop.foreign_share) < 0.1


@pytest.mark.parametrize("wrong", [{"max_repetition": -0.1}, {"max_foreign": 1.1}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(DataError, match="between 0 and 1"):
        MidtrainSelection(**wrong)
