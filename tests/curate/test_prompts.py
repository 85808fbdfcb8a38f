from collections import Counter

import pytest

from minireason.curate.judged import judged_groups
from minireason.curate.prompts import PromptSelection, length_spread, select_prompts
from minireason.errors import DataError


def selected(world, selection=None, **settings):
    groups = judged_groups(*world)
    return select_prompts(world[0], groups, selection or PromptSelection(), **settings)


def admitted(world, **settings):
    prompts, refused, ledger = selected(world, PromptSelection(**settings))
    assert Counter(r.reason for r in refused) == ledger.dropped
    assert ledger.num_in == len(world[0]) and ledger.num_out == len(prompts)
    return [prompt.question_id for prompt in prompts], dict(ledger.dropped)


def test_spread_is_the_standard_deviation_over_the_mean():
    assert length_spread([10, 10, 10]) == 0.0
    assert length_spread([10, 30]) == 0.5
    assert length_spread([0, 0]) == 0.0


def test_prompts_of_uneven_lengths_are_dropped(judged):
    world = judged({"even": "c100 i120", "edge": "c10 i30", "uneven": "c10 i31"})
    assert admitted(world, max_length_spread=0.5) == (
        ["even", "edge"],
        {"response lengths not uniform": 1},
    )


def test_prompts_outside_of_the_pass_rates_are_dropped_and_the_bounds_are_in(judged):
    world = judged({"never": "i9 u9", "half": "c9 i9", "always": "c9 c9"})
    assert admitted(world, pass_rates=(0.5, 0.9)) == (
        ["half"],
        {"solved too rarely": 1, "solved too often": 1},
    )


def test_both_rules_can_be_switched_off(judged):
    world = judged({"uneven": "c1 c100", "single": "i9", "none": ""})
    assert admitted(world, max_length_spread=None) == (
        ["uneven", "single"],
        {"no trial rollouts": 1},
    )


def test_one_trial_says_nothing_about_spread(judged):
    world = judged({"single": "c9", "two": "c9 c9"})
    assert admitted(world) == (["two"], {"fewer than two trial rollouts": 1})


def test_prompt_carries_what_its_trials_showed(judged):
    [prompt], _, _ = selected(judged({"a": "c10 i30"}), system_prompt="Think.")
    assert [m["role"] for m in prompt.prompt] == ["system", "user"]
    assert (prompt.pass_rate, prompt.mean_tokens, prompt.length_spread) == (0.5, 20.0, 0.5)
    assert (prompt.answer, prompt.domain, prompt.level) == ("1", "algebra", "high")


def test_a_refused_question_keeps_its_reason_and_what_its_trials_showed(judged):
    _, [refused], _ = selected(judged({"sure": "c9 i9", "a": "c10 i50"}))
    assert (refused.question_id, refused.reason) == ("a", "response lengths not uniform")
    assert (refused.num_trials, refused.pass_rate, refused.mean_tokens) == (2, 0.5, 30.0)
    assert refused.length_spread == pytest.approx(20 / 30)


def test_trials_without_token_counts_are_refused(judged):
    with pytest.raises(DataError, match="num_tokens"):
        selected(judged({"a": "c0 i0"}))


def test_no_prompt_left_names_the_rule(judged):
    with pytest.raises(DataError, match="no prompts left of 1 rows; dropped: 1 response lengths"):
        selected(judged({"a": "c1 c100"}))


@pytest.mark.parametrize("wrong", [{"pass_rates": (0.9, 0.1)}, {"max_length_spread": -1.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(DataError):
        PromptSelection(**wrong)
