"""The paper's reward: the three verdicts."""

import pytest

from minireason.rl.rewards.correct import correct


@pytest.mark.parametrize(
    ("verdict", "reward"), [("correct", 1.0), ("incorrect", -1.0), ("unknown", None)]
)
def test_a_verdict_has_its_reward_and_an_unknown_one_has_none(judged, verdict, reward):
    assert correct(judged(verdict=verdict)) == reward
