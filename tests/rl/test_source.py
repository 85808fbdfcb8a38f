"""What one step of RLVR is made of, with a sampler and a verifier that do as they are told."""

from pathlib import Path
from tempfile import mkdtemp

import pytest
import torch
from policies import ONES, FakeSampler, fake_learner, prompt, referee

from minireason.recipe.reinforcement import Rlvr
from minireason.records import PolicySample, read_records
from minireason.rl.source import Policy, RolloutSource
from minireason.rl.stream import Source


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def source(prompts, folder=None, **settings):
    first = {"num_steps": 10, "prompts_per_step": len(prompts), "oversample": 1}
    rlvr = Rlvr(**first | {"group_size": len(prompts[0].answer)} | settings)
    sampler = FakeSampler()
    policy = Policy([Source(sampler, sampler.model)], referee(rlvr.rewards))
    made = RolloutSource(fake_learner(), policy, prompts, rlvr, folder or Path(mkdtemp(dir=".")))
    return made, sampler


def many(verdicts, count=20):
    """A prompt whose responses have these verdicts, over and over."""
    return prompt("a", verdicts * count)


def test_the_temperature_falls_over_the_first_half_and_stays():
    made, sampler = source([many("ci")], group_size=2)
    found = [made.step(number).temperature for number in range(10)]
    expected = [1.0, 0.92, 0.84, 0.76, 0.68, 0.6, 0.6, 0.6, 0.6, 0.6]
    assert found == pytest.approx(expected)
    assert [r.params.temperature for r in sampler.requests[::2]] == pytest.approx(expected)


def test_without_annealing_the_temperature_stays_where_it_started():
    made, _ = source([many("ci")], group_size=2, anneal_fraction=0)
    assert {made.step(number).temperature for number in range(10)} == {1.0}


def test_a_token_budget_sets_the_pace_and_the_end():
    # The n-th response has 1 + n tokens: steps have 3, 7, 11, 15 ... of them.
    made, _ = source([many("ci")], group_size=2, token_budget=36, num_steps=1000)
    temperatures, done = [], 0
    while made.progress(done) < 1:
        temperatures.append(made.step(done).temperature)
        done += 1
    assert done == 4
    # Half of the budget is spent over the fall from 1 to 0.6: 0, 3 and 10 of 18 tokens.
    assert temperatures == pytest.approx([1.0, 1 - 0.4 * 3 / 18, 1 - 0.4 * 10 / 18, 0.6])


def test_a_step_is_the_same_whatever_was_done_before():
    prompts = [prompt("a", "ci"), prompt("b", "ic")]
    (first, one), (second, other) = source(prompts), source(prompts)
    first.step(0)
    one.requests.clear(), one.counts.clear()
    assert first.step(3).metrics == second.step(3).metrics
    assert one.requests == other.requests


def test_a_step_sampled_before_a_kill_is_not_sampled_again(tmp_path):
    prompts = [prompt("a", "ci"), prompt("b", "ic")]
    (first, _), (second, sampler) = source(prompts, tmp_path), source(prompts, tmp_path)
    made, again = first.step(3), second.step(3)
    assert sampler.requests == []
    assert again.metrics == made.metrics
    for update, same in zip(made.updates, again.updates, strict=True):
        for batch, same_batch in zip(update.micro_batches, same.micro_batches, strict=True):
            assert torch.equal(batch.ids_BT, same_batch.ids_BT)
            for name, values in batch.values.items():
                assert torch.equal(values, same_batch.values[name])


def test_other_weights_sample_their_own_groups(tmp_path):
    (first, one), (second, other) = (source([prompt("a", "ci")], tmp_path) for _ in range(2))
    first.step(3)
    with torch.no_grad():
        other.model.weight = torch.nn.Parameter(ONES.nextafter(2 * ONES))
    second.step(3)
    assert one.requests == other.requests != []


def test_a_step_that_teaches_nothing_has_no_update_and_says_so(recwarn):
    made, _ = source([prompt("a", "iiii")])
    step = made.step(0)
    assert list(step.updates) == []
    assert (step.metrics["reward_mean"], step.metrics["num_kept"]) == (-1.0, 0.0)
    assert list(recwarn) == []


def test_responses_are_dealt_out_to_the_updates_of_a_step():
    made, _ = source([prompt("a", "ccii")], updates_per_step=2)
    found = [sum(b.num_sequences for b in u.micro_batches) for u in made.step(0).updates]
    assert found == [2, 2]


def test_every_so_many_steps_the_samples_are_kept_with_what_became_of_them(tmp_path):
    made, _ = source([many("ciu")], tmp_path, group_size=3, samples_every=2)
    for number in range(4):
        made.step(number)
    assert sorted(path.name for path in (tmp_path / "samples").iterdir()) == [
        "step-000002.parquet",
        "step-000004.parquet",
    ]
    first, second, third = read_records(tmp_path / "samples" / "step-000002.parquet", PolicySample)
    assert (first.step, first.question_id, first.question, first.index) == (2, "a", "a", 0)
    assert (first.verdict, first.reward, second.reward, third.reward) == ("correct", 1, -1, None)
    assert first.advantage == pytest.approx(0.70711, abs=1e-4) == -second.advantage
    assert third.advantage is None
    assert (first.reward_names, first.reward_parts) == (["correct"], [1.0])
    assert first.temperature == pytest.approx(0.92) and first.mean_logprob == -0.5
    assert first.response == "13 9 9 9" and first.num_tokens == 4
    assert first.finish_reason == "length"


def test_questions_that_srpo_finds_too_easy_are_not_drawn_again_and_a_resume_knows(tmp_path):
    prompts = [many("cc"), prompt("b", "ci" * 20)]
    made, _ = source(prompts, algorithm="srpo", group_size=2, prompts_per_step=2)
    made.step(0)
    again, sampler = source(prompts, algorithm="srpo", group_size=2, prompts_per_step=1)
    again.load_state_dict(made.state_dict(), {})
    for number in range(1, 6):
        again.step(number)
    assert {tuple(r.prompt_ids) for r in sampler.requests} == {(ord("b"),)}


def test_srpo_does_not_hold_a_question_for_too_easy_where_a_verdict_is_unknown():
    made, sampler = source([many("cu"), prompt("b", "ci" * 20)], algorithm="srpo", group_size=2)
    made.step(0)
    made.settings = made.settings.model_copy(update={"prompts_per_step": 1})
    sampler.requests.clear()
    for number in range(1, 10):
        made.step(number)
    assert {tuple(r.prompt_ids) for r in sampler.requests} == {(ord("a"),), (ord("b"),)}


def test_dapo_replaces_a_group_that_rebalancing_would_drop():
    prompts = [many("ccci"), prompt("b", "ciii" * 20)]
    made, sampler = source(prompts, algorithm="dapo", group_size=4, prompts_per_step=1)
    kept = [made.step(number).metrics["num_kept"] for number in range(10)]
    assert kept == [2.0] * 10  # b's positive and a negative, whichever was drawn first
    assert (ord("a"),) in {tuple(r.prompt_ids) for r in sampler.requests}


def test_the_largest_micro_batch_has_the_longest_prompt_and_response():
    made, _ = source([prompt("abc", "ci")], max_tokens=20, micro_batch_size=2)
    batch = made.largest()
    assert batch.num_sequences == 4 and max(batch.lengths) == 23
