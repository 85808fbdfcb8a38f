"""What a step's groups show, against numbers worked out by hand."""

import pytest

from minireason.records import Group
from minireason.rl.metrics import group_metrics


def group(rewards, lengths, verdicts, parts=None, reasons=None):
    return Group(
        question_id="q",
        prompt_ids=[1],
        response_ids=[[5] * length for length in lengths],
        logprobs=[[0.0] * length for length in lengths],
        rewards=rewards,
        finish_reasons=reasons or ["stop"] * len(lengths),
        verdicts=[{"c": "correct", "i": "incorrect", "u": "unknown"}[v] for v in verdicts],
        extracted=[""] * len(lengths),
        reward_parts=parts or [[reward] for reward in rewards],
    )


def test_means_are_over_responses_and_signals_over_groups():
    groups = [
        group([1.0, -1.0], [2, 1], "ci", reasons=["stop", "length"]),
        group([-1.0, None], [3, 6], "iu"),
    ]
    assert group_metrics(groups, ["correct"]) == pytest.approx(
        {"reward_mean": -1 / 3, "pass_rate": 1 / 3, "unknown_rate": 1 / 4, "zero_signal_rate": 0.5}
        | {"mean_tokens": 3.0, "correct_tokens": 2.0, "incorrect_tokens": 2.0, "p95_tokens": 5.55}
        | {"truncation_rate": 1 / 4, "num_sampled": 4, "generated_tokens": 12}
    )


def test_each_of_several_rewards_has_its_own_mean_without_what_could_not_be_told():
    parts = [[1.0, 0.5], [None, 0.1]]
    found = group_metrics([group([1.5, None], [1, 1], "cu", parts)], ["correct", "format"])
    assert found["reward_correct"] == 1.0
    assert found["reward_format"] == pytest.approx(0.3)


def test_what_has_nothing_to_be_a_mean_of_is_left_out():
    found = group_metrics([group([None], [4], "u")], ["correct"])
    assert found.keys().isdisjoint({"reward_mean", "pass_rate", "correct_tokens"})
    assert found["unknown_rate"] == found["zero_signal_rate"] == 1.0
