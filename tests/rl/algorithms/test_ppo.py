"""PPO's advantages are its critic's, and its loss the clipped surrogate over all tokens."""

from __future__ import annotations

from minireason.rl.algorithms.ppo import PPO


def test_its_critic_gets_the_rewards_as_they_are() -> None:
    groups = [[1.0, -1.0, 0.1], [], [1.0]]
    assert PPO.needs_critic and PPO.advantages(groups) == groups


def test_its_loss_is_the_clipped_surrogate_of_the_paper() -> None:
    loss = PPO.objective(50)
    assert (loss.clip_low, loss.clip_high, loss.average) == (0.2, 0.2, "tokens")
    assert (loss.ratio_of, loss.kl_weight) == ("token", 0.0)
