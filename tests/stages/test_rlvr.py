"""What one step of stage 4 is made of, with a sampler and a verifier that do as they are told."""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace

import pytest
import torch

from minireason.progress import Progress
from minireason.recipe_file import load_recipe, parse_recipe
from minireason.records import (
    Group,
    Prompt,
    Rollout,
    parquet_files,
    read_records,
    write_records,
)
from minireason.rollout.request import Completion
from minireason.seeding import derive_seed
from minireason.stages.rlvr import RolloutSource, group_metrics, prompts
from minireason.step import StepContext
from minireason.verify.verifier import Decision
from minireason.world import ALONE


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


ONES = torch.ones(2, 3)
PROMPT_IDS = {"easy": [1, 2], "hard": [1, 3, 4]}


class FakeChat:
    """The prompt's only message is its name; a response is one token, shown as a number."""

    def prompt_ids(self, messages):
        return PROMPT_IDS[messages[0]["content"]]

    def decode(self, ids):
        return str(ids[0])


@dataclass
class FakeEngine:
    """Response n to a prompt is token 10 + n, then as many of token 9 as n says."""

    group_size: int
    max_length: int = 100
    model: torch.nn.Module = field(default_factory=partial(torch.nn.Embedding, 2, 3, _weight=ONES))
    requests: list = field(default_factory=list)

    def generate(self, requests):
        self.requests += requests
        found = []
        for number, _ in enumerate(requests):
            index = number % self.group_size
            ids = [10 + index, *[9] * index]
            found.append(Completion(ids, [-0.5] * len(ids), "length" if index == 3 else "stop"))
        return found


@dataclass
class FakeVerifier:
    """Verdicts by the first token of the response, in the order of the prompt's answer."""

    asked: list = field(default_factory=list)

    def verify_batch(self, batch):
        self.asked += batch
        words = {"c": "correct", "i": "incorrect", "u": "unknown"}
        return [Decision(words[answer[int(r) - 10]], "", "fake") for r, answer, _ in batch]


def prompt(name, verdicts, pass_rate):
    return Prompt(name, [{"role": "user", "content": name}], verdicts, "integer", pass_rate, 1, 0)


def source(prompts, folder=None, **settings):
    group_size = len(prompts[0].answer)
    rlvr = {"num_steps": 10, "prompts_per_step": len(prompts), "group_size": group_size} | settings
    recipe = parse_recipe(
        {"rlvr": rlvr, "rollout": {"teacher": "traces"}, "questions": {"limit": 1}}
    )
    step = SimpleNamespace(recipe=recipe, world=ALONE, folder=folder or Path(mkdtemp(dir=".")))
    learner = SimpleNamespace(copy_weights_to=lambda model: None)
    policy = SimpleNamespace(engine=FakeEngine(group_size), chat=FakeChat())
    return RolloutSource(step, learner, policy, prompts, FakeVerifier())


def group(made):
    drawn = list(enumerate(made._draw(0)))
    return made._sample(drawn, 1.0, 0)[0]


def advantages(made, number=0):
    """First token of each response learned from, with its advantage."""
    units = made._units(group(made), number)
    return [(s.ids[len(PROMPT_IDS["easy"])], s.values["advantages"]) for (s,) in units]


def test_a_correct_response_is_rewarded_with_1_and_an_incorrect_one_with_minus_1():
    assert group(source([prompt("easy", "ciic", 0.5)])).rewards == [1.0, -1.0, -1.0, 1.0]


def test_a_response_that_cannot_be_judged_leaves_its_group():
    found = group(source([prompt("easy", "cuiu", 0.5)]))
    assert found.rewards == [1.0, -1.0]
    assert found.response_ids == [[10], [12, 9, 9]]
    assert found.logprobs == [[-0.5], [-0.5] * 3]
    assert found.finish_reasons == ["stop", "stop"]


def test_the_verifier_sees_the_text_the_answer_and_its_kind():
    made = source([prompt("easy", "ci", 0.5)])
    group(made)
    assert made.verifier.asked == [("10", "ci", "integer"), ("11", "ci", "integer")]


def test_a_unit_is_prompt_and_response_with_the_response_as_target():
    (unit,), _ = (made := source([prompt("easy", "ci", 0.5)]))._units(group(made), 0)
    assert unit.ids == [1, 2, 10]
    assert unit.num_targets == 1
    assert unit.values["old_logprobs"] == [-0.5]


def test_advantages_are_rewards_less_the_mean_over_the_standard_deviation():
    # One +1 and one -1: mean 0, sample standard deviation sqrt(2), so +-0.7071.
    found = advantages(source([prompt("easy", "ci", 0.5)]))
    assert found == [
        (10, pytest.approx(0.70711, abs=1e-4)),
        (11, pytest.approx(-0.70711, abs=1e-4)),
    ]


def test_without_the_standard_deviation_advantages_are_rewards_less_the_mean():
    made = source([prompt("easy", "ciii", 0.5)], scale_by_std=False, rebalance=False)
    # Rewards +1 -1 -1 -1, mean -0.5.
    assert advantages(made) == [(10, 1.5), (11, -0.5), (12, -0.5), (13, -0.5)]


def test_rebalancing_keeps_all_positives_and_as_many_negatives():
    made = source([prompt("easy", "ciiiic", 0.5)])
    for number in range(5):
        tokens = [token for token, _ in advantages(made, number)]
        assert {10, 15} <= set(tokens)
        assert len(tokens) == 4


def test_rebalancing_draws_other_negatives_in_other_steps():
    made = source([prompt("easy", "ciiiii", 0.5)])
    assert len({tuple(t for t, _ in advantages(made, number)) for number in range(20)}) > 1


@pytest.mark.parametrize("verdicts", ["ccci", "cccc", "iiii", "uuuu"])
def test_rebalancing_drops_a_group_solved_too_often_or_never(verdicts):
    assert advantages(source([prompt("easy", verdicts, 0.5)])) == []


def test_a_group_solved_exactly_as_often_as_allowed_stays():
    assert len(advantages(source([prompt("easy", "ccii", 0.5)]))) == 4


def test_without_rebalancing_every_response_of_a_mixed_group_stays():
    made = source([prompt("easy", "ccci", 0.5)], rebalance=False)
    assert [token for token, _ in advantages(made)] == [10, 11, 12, 13]


@pytest.mark.parametrize("verdicts", ["cccc", "iiii", "uuuu"])
def test_without_rebalancing_a_group_that_teaches_nothing_still_leaves(verdicts):
    assert advantages(source([prompt("easy", verdicts, 0.5)], rebalance=False)) == []


def drawn_names(**settings):
    prompts = [prompt("easy", "ci", 1.0), prompt("hard", "ci", 0.0)]
    made = source(prompts, prompts_per_step=1, **settings)
    return [made._draw(number)[0].question_id for number in range(1000)]


def test_rebalancing_draws_hard_prompts_more_often():
    # Weights 3 and 1: three quarters of 1000, give or take four standard deviations (55).
    assert 695 <= drawn_names(oversample=3.0).count("hard") <= 805


def test_without_rebalancing_all_prompts_are_drawn_alike():
    assert 435 <= drawn_names(oversample=3.0, rebalance=False).count("hard") <= 565


def test_the_temperature_falls_over_the_first_half_and_stays():
    made = source([prompt("easy", "ci", 0.5)])
    found = [made.step(number).temperature for number in range(10)]
    expected = [1.0, 0.92, 0.84, 0.76, 0.68, 0.6, 0.6, 0.6, 0.6, 0.6]
    assert found == pytest.approx(expected)
    sampled = [request.params.temperature for request in made.engine.requests[::2]]
    assert sampled == pytest.approx(expected)


def test_without_annealing_the_temperature_stays_where_it_started():
    made = source([prompt("easy", "ci", 0.5)], anneal_fraction=0)
    assert {made.step(number).temperature for number in range(10)} == {1.0}


def test_every_step_prompt_and_sample_has_its_own_seed():
    made = source([prompt("easy", "ci", 0.5), prompt("hard", "ic", 0.5)])
    made.step(0), made.step(1)
    seeds = [request.params.seed for request in made.engine.requests]
    assert len(set(seeds)) == 2 * 2 * 2
    assert seeds[1] == derive_seed(0, "rlvr", 0, 0, 1)
    assert seeds[-1] == derive_seed(0, "rlvr", 1, 1, 1)


def test_a_step_is_the_same_whatever_was_done_before():
    prompts = [prompt("easy", "ci", 0.5), prompt("hard", "ic", 0.5)]
    first, second = source(prompts), source(prompts)
    first.step(0)
    first.engine.requests.clear()
    assert first.step(3).metrics == second.step(3).metrics
    assert first.engine.requests == second.engine.requests


def test_a_step_sampled_before_a_kill_is_not_sampled_again(tmp_path):
    prompts = [prompt("easy", "ci", 0.5), prompt("hard", "ic", 0.5)]
    first, second = source(prompts, tmp_path), source(prompts, tmp_path)
    made, again = first.step(3), second.step(3)
    assert second.engine.requests == second.verifier.asked == []
    assert again.metrics == made.metrics
    for update, same in zip(made.updates, again.updates, strict=True):
        for batch, same_batch in zip(update.micro_batches, same.micro_batches, strict=True):
            assert torch.equal(batch.ids_BT, same_batch.ids_BT)
            for name, values in batch.values.items():
                assert torch.equal(values, same_batch.values[name])


def test_other_weights_sample_their_own_groups(tmp_path):
    first, second = (source([prompt("easy", "ci", 0.5)], tmp_path) for _ in range(2))
    first.step(3)
    with torch.no_grad():
        second.engine.model.weight = torch.nn.Parameter(ONES.nextafter(2 * ONES))
    second.step(3)
    assert second.engine.requests == first.engine.requests != []


def test_a_response_may_fill_the_context_and_no_more():
    made = source([prompt("hard", "ci", 0.5)], max_tokens=200)
    made.step(0)
    assert {request.params.max_tokens for request in made.engine.requests} == {100 - 3}


def test_a_step_that_teaches_nothing_has_no_update_and_says_so(recwarn):
    step = source([prompt("easy", "iiii", 0.5)]).step(0)
    assert list(step.updates) == []
    assert (step.metrics["reward_mean"], step.metrics["accept_rate"]) == (-1.0, 0.0)
    assert list(recwarn) == []


def test_responses_are_dealt_out_to_the_updates_of_a_step():
    step = source([prompt("easy", "ccii", 0.5)], updates_per_step=2).step(0)
    assert [sum(b.num_sequences for b in update.micro_batches) for update in step.updates] == [2, 2]


def test_what_the_groups_show_is_logged_before_rebalancing():
    groups = [
        Group("a", [1], [[1, 2], [3]], [[0, 0], [0]], [1.0, -1.0], ["stop", "length"]),
        Group("b", [1], [[1, 2, 3]], [[0, 0, 0]], [-1.0], ["stop"]),
    ]
    assert group_metrics(groups, num_kept=2) == pytest.approx(
        {"reward_mean": -1 / 3, "pass_rate": 1 / 3, "accept_rate": 2 / 3}
        | {"mean_tokens": 2.0, "truncation_rate": 1 / 3}
    )


def trials(smoke_run, folder):
    """The trial rollouts of the smoke run, the first of four prompts' made much longer."""
    found = read_records(smoke_run / "prompts" / "rollouts", Rollout)
    uneven = sorted({r.question_id for r in found})[:4]
    folder.mkdir()
    for shard in parquet_files(smoke_run / "prompts" / "rollouts"):
        changed = [
            replace(r, num_tokens=60) if r.question_id in uneven and r.index == 0 else r
            for r in read_records(shard, Rollout)
        ]
        write_records(folder / shard.name, changed, Rollout)


@pytest.mark.parametrize(("is_on", "num_prompts"), [("true", 6), ("false", 10)])
def test_prompt_optimisation_drops_uneven_lengths_unless_it_is_off(
    is_on, num_prompts, smoke_run, smoke_arguments, tmp_path
):
    overrides = ["rlvr.max_length_spread=0.5", f"rlvr.prompt_optimization={is_on}"]
    recipe = load_recipe(Path(smoke_arguments[0]), [*smoke_arguments[2::2], *overrides])
    inputs = {"questions": smoke_run / "questions", "model": smoke_run / "dpo"}
    trials(smoke_run, tmp_path / "rollouts")
    counts = prompts(StepContext(recipe, tmp_path, inputs, Progress(is_quiet=True)))
    assert (counts["in"], counts["out"]) == (10, num_prompts)
    assert counts.get("dropped: response lengths not uniform", 0) == 10 - num_prompts
