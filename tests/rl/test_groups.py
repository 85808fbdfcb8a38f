"""Groups with a sampler and a verifier that do as they are told."""

import pytest
from policies import FakeSampler, prompt, referee

from minireason.errors import DataError
from minireason.recipe.reinforcement import Rlvr
from minireason.rl.groups import GroupSampler, draw_order, has_signal
from minireason.seeding import derive_seed
from minireason.world import ALONE


def sampled(prompts, *, refill_rounds=0, number=0, sampler=None, **settings):
    first = {"prompts_per_step": len(prompts), "group_size": 2, "oversample": 1}
    made = GroupSampler(sampler or FakeSampler(), referee(), Rlvr(**first | settings), 0, ALONE)
    return made.sample(number, 0.8, prompts, refill_rounds, has_signal)


def test_a_correct_response_is_rewarded_with_1_and_an_incorrect_one_with_minus_1():
    (group,) = sampled([prompt("a", "ciic")], group_size=4)
    assert group.rewards == [1.0, -1.0, -1.0, 1.0]
    assert group.verdicts == ["correct", "incorrect", "incorrect", "correct"]
    assert group.finish_reasons == ["stop", "stop", "stop", "length"]
    assert group.response_ids[2] == [12, 9, 9] and group.logprobs[2] == [-0.5] * 3
    assert group.prompt_ids == [ord("a")]


def test_a_response_that_cannot_be_judged_has_no_reward():
    (group,) = sampled([prompt("a", "cu")])
    assert group.rewards == [1.0, None]
    assert group.reward_parts == [[1.0], [None]]


def test_a_prompt_without_a_positive_is_sampled_on_until_it_has_one_or_the_cap_is_reached():
    prompts = [prompt("a", "ci"), prompt("b", "iiic"), prompt("c", "iiiiii")]
    found = {g.question_id: g.verdicts for g in sampled(prompts, oversample=3)}
    assert {name: len(verdicts) for name, verdicts in found.items()} == {"a": 2, "b": 4, "c": 6}
    assert found["b"] == ["incorrect"] * 3 + ["correct"]


def test_more_positives_can_be_asked_for():
    (group,) = sampled([prompt("a", "cicici")], oversample=3, min_positives=3)
    assert group.verdicts.count("correct") == 3


def test_without_rebalancing_every_prompt_gets_the_same_number():
    (group,) = sampled([prompt("a", "iiic")], oversample=3, rebalance=False)
    assert len(group.rewards) == 2


def test_every_prompt_and_response_of_every_step_has_its_own_seed():
    sampler = FakeSampler()
    prompts = [prompt("a", "iici" * 2), prompt("b", "iici" * 2)]
    for number in range(2):
        sampled(prompts, oversample=2, number=number, sampler=sampler)
    seeds = [request.params.seed for request in sampler.requests]
    assert len(seeds) == len(set(seeds)) == 2 * 2 * 4
    assert {derive_seed(0, "rlvr", 0, place, i) for place in (0, 1) for i in range(4)} <= {*seeds}


def test_a_response_may_fill_the_context_and_no_more():
    sampler = FakeSampler()
    sampled([prompt("abc", "ci")], max_tokens=200, sampler=sampler)
    assert {request.params.max_tokens for request in sampler.requests} == {100 - 3}
    assert {request.params.temperature for request in sampler.requests} == {0.8}


@pytest.mark.parametrize(
    ("verdicts", "rounds", "num_groups", "num_signals"),
    [
        (["cc", "ii", "ci", "ic"], 0, 2, 0),
        (["cc", "ii", "ci", "ic"], 1, 4, 2),
        (["cc", "ci", "ii", "ic"], 1, 3, 1),
        (["cc", "ci", "ii", "ic"], 9, 4, 2),
    ],
)
def test_groups_that_teach_nothing_are_replaced_as_often_as_is_allowed(
    verdicts, rounds, num_groups, num_signals
):
    order = draw_order(4, 4, derive_seed(0, "rlvr", "draw", 0))
    told = dict(zip(order, verdicts, strict=True))
    prompts = [prompt("abcd"[i], told[i]) for i in range(4)]
    found = sampled(prompts, prompts_per_step=2, refill_rounds=rounds)
    assert [group.question_id for group in found] == ["abcd"[i] for i in order[:num_groups]]
    assert sum(map(has_signal, found)) == num_signals


def test_a_signal_is_a_difference_between_rewards_that_are_known():
    found = {g.question_id: has_signal(g) for g in sampled([prompt("a", "ci"), prompt("b", "cu")])}
    assert found == {"a": True, "b": False}


def test_prompts_come_again_once_all_have_been_drawn():
    order = draw_order(3, 8, seed=1)
    assert sorted(order[:3]) == sorted(order[3:6]) == [0, 1, 2]
    assert len(order) == 8 and len({tuple(draw_order(9, 9, seed)) for seed in range(20)}) > 15


def test_without_prompts_there_is_nothing_to_draw():
    with pytest.raises(DataError, match="no prompts"):
        draw_order(0, 1, seed=0)
