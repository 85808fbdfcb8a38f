"""Which responses are learnt from, and with what advantages."""

import pytest
from policies import prompt, referee

from minireason.recipe.reinforcement import Rlvr
from minireason.rl.algorithms import ALGORITHMS
from minireason.rl.groups import GroupSampler, has_signal
from minireason.rl.lessons import choose, units_of
from minireason.world import ALONE


def learnt(*verdicts, algorithm="grpo", seed=0, **settings):
    """First token and advantage of each response learnt from; the n-th response is token 10 + n."""
    from policies import FakeSampler

    size = len(verdicts[0])
    prompts = [prompt("ab"[i], each) for i, each in enumerate(verdicts)]
    rlvr = Rlvr(prompts_per_step=len(prompts), group_size=size, oversample=1, **settings)
    sampler = GroupSampler(FakeSampler(), referee(rlvr.rewards), rlvr, 0, ALONE)
    groups = sorted(
        sampler.sample(0, 1.0, prompts, 0, has_signal), key=lambda group: group.question_id
    )
    lessons = choose(groups, ALGORITHMS[algorithm], rlvr, seed)
    units = units_of(groups, lessons, ALGORITHMS[algorithm])
    return [(s.ids[1], s.values.get("advantages")) for (s,) in units]


def test_advantages_are_rewards_less_the_mean_over_the_standard_deviation():
    # One +1 and one -1: mean 0, sample standard deviation sqrt(2), so +-0.7071.
    assert learnt("ci") == [
        (10, pytest.approx(0.70711, abs=1e-4)),
        (11, pytest.approx(-0.70711, abs=1e-4)),
    ]


def test_dr_grpo_leaves_the_standard_deviation_out():
    # Rewards +1 -1 -1 -1, mean -0.5.
    found = learnt("ciii", algorithm="dr_grpo", rebalance=False)
    assert found == [(10, 1.5), (11, -0.5), (12, -0.5), (13, -0.5)]


def test_groups_get_their_advantages_side_by_side():
    found = learnt("ciii", "cccc", algorithm="rloo", rebalance=False)
    assert [token for token, _ in found] == [10, 11, 12, 13]
    # Leave one out: 1 - (-1) and -1 - (1 - 1 - 1) / 3.
    assert [advantage for _, advantage in found] == pytest.approx([2, -2 / 3, -2 / 3, -2 / 3])


def test_rebalancing_keeps_all_positives_and_as_many_negatives():
    for seed in range(5):
        tokens = [token for token, _ in learnt("ciiiic", seed=seed)]
        assert {10, 15} <= set(tokens) and len(tokens) == 4


def test_rebalancing_draws_other_negatives_in_other_steps():
    assert len({tuple(token for token, _ in learnt("ciiiii", seed=seed)) for seed in range(20)}) > 1


@pytest.mark.parametrize("verdicts", ["ccci", "cccc", "iiii", "uuuu"])
def test_rebalancing_drops_a_group_solved_too_often_or_never(verdicts):
    assert learnt(verdicts) == []


def test_without_rebalancing_every_response_that_could_be_judged_stays():
    assert [token for token, _ in learnt("ccui", rebalance=False)] == [10, 11, 13]


@pytest.mark.parametrize("rebalance", [False, True])
def test_an_unknown_verdict_is_left_out_although_its_reward_is_told(rebalance):
    told = {"algorithm": "ppo", "rewards": {"format": 1.0}, "rebalance": rebalance}
    for seed in range(5):
        assert [token for token, _ in learnt("cuui", seed=seed, **told)] == [10, 13]


@pytest.mark.parametrize("verdicts", ["cccc", "iiii", "uuuu", "cuuu"])
def test_without_rebalancing_a_group_that_teaches_nothing_still_leaves(verdicts):
    assert learnt(verdicts, rebalance=False) == []


def test_a_critic_learns_from_groups_that_are_all_alike_and_makes_the_advantages():
    assert learnt("iiii", rebalance=False, algorithm="ppo") == [(10 + i, None) for i in range(4)]
