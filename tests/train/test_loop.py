"""One update: the same however the rows are split, and what AdamW's paper says it is."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from minireason.errors import MinireasonError
from minireason.train.checkpoint import Checkpoints
from minireason.train.data import Layout, PackedData, Step, StepSource, Update
from minireason.train.learner import Learner
from minireason.train.loop import Watcher, run_step, train, update
from minireason.train.meter import Meter
from minireason.train.objectives import Objective, Scores, Totals
from minireason.train.objectives.dpo import dpo
from minireason.train.objectives.next_token import NextToken
from minireason.train.objectives.policy_gradient import PolicyGradient
from minireason.train.objectives.preference import Preference
from minireason.train.optimizer import OptimizerSettings, build_optimizers
from minireason.train.packing import MicroBatch, Packing, Unit, collate, pack, unit_length

SETTINGS = OptimizerSettings(
    learning_rate=1e-3,
    weight_decay=0.1,
    beta1=0.9,
    beta2=0.95,
    max_grad_norm=1.0,
    warmup_ratio=0.0,
    schedule="constant",
    checkpoint_every=100,
)
UNCLIPPED = 1e9
OBJECTIVES: dict[str, Objective] = {
    "next_token": NextToken(),
    "dpo": Preference(dpo, beta=0.5, nll_weight=0.2),
    "tokens": PolicyGradient(kl_weight=0.1),
    "responses": PolicyGradient(average="responses", ratio_of="response"),
    "constant": PolicyGradient(average="constant", max_tokens=20),
}


def valued(units: Sequence[Unit]) -> list[Unit]:
    """The units with everything that any objective needs."""
    generator = torch.Generator().manual_seed(0)

    def some(count: int) -> list[float]:
        return (torch.randn(count, generator=generator) * 0.1 - 4.6).tolist()

    return [
        [
            replace(
                s,
                values={
                    "advantages": float(i % 3 - 1) + 0.3,
                    "old_logprobs": some(s.num_targets),
                    "reference_logprobs": some(s.num_targets),
                },
            )
            for s in unit
        ]
        for i, unit in enumerate(units)
    ]


def rows_of(units: Sequence[Unit], capacity: int = 40) -> list[list[Unit]]:
    return [[units[i] for i in row] for row in pack([unit_length(u) for u in units], capacity)]


def descending(model: Any, rate: float = 1.0, max_grad_norm: float = UNCLIPPED) -> Learner:
    """A learner that descends plainly."""
    learner = Learner(model, replace(SETTINGS, max_grad_norm=max_grad_norm))
    learner.optimizers = [torch.optim.SGD(model.parameters(), lr=rate)]
    return learner


def work_on(micro_batches: Sequence[MicroBatch]) -> Update:
    targets = sum(batch.num_targets for batch in micro_batches)
    return Update(micro_batches, Totals(targets, sum(b.num_sequences for b in micro_batches)))


def meter(learner: Learner) -> Meter:
    return Meter(learner.model, learner.device, learner.dtype)


def updated(
    learner: Learner,
    objective: Objective,
    micro_batches: Sequence[MicroBatch],
    temperature: float = 1.0,
) -> dict[str, float]:
    return update(learner, objective, work_on(micro_batches), temperature, meter(learner))


def gradients(
    model: Any, objective: Objective, micro_batches: Sequence[MicroBatch], temperature: float = 0.8
) -> tuple[dict[str, float], list[torch.Tensor]]:
    """The metrics of an update and its gradients, read off a plain descent of rate 1."""
    before = [p.detach().clone() for p in model.parameters()]
    metrics = updated(descending(model), objective, micro_batches, temperature)
    after = [p.detach() for p in model.parameters()]
    return metrics, [b - a for b, a in zip(before, after, strict=True)]


def assert_same(one: Any, other: Any) -> None:
    assert one[0] == pytest.approx(other[0], rel=1e-5, abs=1e-6)
    for a, b in zip(one[1], other[1], strict=True):
        torch.testing.assert_close(a, b, atol=1e-6 + 1e-5 * b.abs().max().item(), rtol=1e-4)


def assert_moved_alike(one: Any, other: Any, start: Any) -> None:
    """Equal weights by the way gone: AdamW magnifies the rounding of gradients that are near 0."""
    triples = zip(one.parameters(), other.parameters(), start.parameters(), strict=True)
    for a, b, old in triples:
        assert (a - b).norm() < 1e-3 * (b - old).norm()


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("rows_at_once", [1, 2, 4])
def test_accumulation_does_not_change_the_update(
    name: str, rows_at_once: int, make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    rows = rows_of(valued(make_units(8, pair=True)))
    assert len(rows) == 4 and len({len(row) for row in rows}) > 1
    split = [collate(rows[i : i + rows_at_once]) for i in range(0, 4, rows_at_once)]
    whole = gradients(make_model(), OBJECTIVES[name], [collate(rows)])
    assert_same(gradients(make_model(), OBJECTIVES[name], split), whole)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_packing_does_not_change_the_update(
    name: str, make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    units = valued(make_units(8, pair=True))
    apart = [collate([[unit]]) for unit in units]
    packed = [collate(rows_of(units))]
    whole = gradients(make_model(), OBJECTIVES[name], packed)
    assert_same(gradients(make_model(), OBJECTIVES[name], apart), whole)


@pytest.mark.parametrize("rows_at_once", [1, 2, 4])
def test_accumulated_adamw_updates_give_the_same_weights(
    rows_at_once: int, make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    def trained(size: int) -> Any:
        model = make_model()
        learner = Learner(model, SETTINGS)
        for seed in range(3):
            rows = rows_of(make_units(9, seed=seed), 14)[:4]
            split = [collate(rows[i : i + size]) for i in range(0, 4, size)]
            updated(learner, NextToken(), split)
        return model

    assert_moved_alike(trained(rows_at_once), trained(4), make_model())


def test_packed_data_and_unpacked_data_train_the_same(
    make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    def step(packing: Packing, micro_batch_size: int) -> Any:
        layout = Layout(40, 100, micro_batch_size, packing, epochs=1)
        data = PackedData(make_units(12), layout, seed=1)
        assert data.num_steps == 1
        return gradients(make_model(), NextToken(), data.step(0).updates[0].micro_batches)

    assert_same(step("best-fit", 2), step("none", 1))


def test_the_first_step_is_adamw_s_by_hand(
    make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    model, batch = make_model(), [collate(rows_of(make_units(6)))]
    before = [p.detach().clone() for p in model.parameters()]
    _, expected = gradients(copy.deepcopy(model), NextToken(), batch, 1.0)
    updated(Learner(model, replace(SETTINGS, max_grad_norm=UNCLIPPED)), NextToken(), batch)
    for old, new, gradient in zip(before, model.parameters(), expected, strict=True):
        clear = gradient.abs() > 1e-5  # below it the gradient read off the descent is rounding
        decay = 0.1 if old.ndim >= 2 else 0.0
        by_hand = old * (1 - 1e-3 * decay) - 1e-3 * gradient / (gradient.abs() + 1e-8)
        torch.testing.assert_close(new[clear], by_hand[clear], atol=5e-6, rtol=1e-5)


def test_several_steps_equal_a_plain_adamw_with_the_same_groups(
    make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    ours, theirs = make_model(), make_model("phi3", "sdpa")
    learner = Learner(ours, SETTINGS)
    groups = [
        {"params": [p for p in theirs.parameters() if p.ndim >= 2], "weight_decay": 0.1},
        {"params": [p for p in theirs.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
    plain = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), foreach=False, fused=False)
    for (sequence,) in make_units(4, longest=30):
        whole = replace(sequence, num_targets=len(sequence.ids) - 1)
        updated(learner, NextToken(), [collate([[[whole]]])])
        ids = torch.tensor([sequence.ids])
        theirs(ids, labels=ids, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
        plain.step()
        plain.zero_grad()
    assert_moved_alike(ours, theirs, make_model())


def test_norms_and_biases_do_not_decay(make_model: Callable[..., Any]) -> None:
    (optimizer,) = build_optimizers(make_model("qwen2"), SETTINGS)
    groups = optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    assert {p.ndim for p in groups[0]["params"]} == {2}
    assert {p.ndim for p in groups[1]["params"]} == {1}


def test_a_tied_embedding_is_one_parameter(make_model: Callable[..., Any]) -> None:
    model = make_model()
    (optimizer,) = build_optimizers(model, SETTINGS)
    found = [p for group in optimizer.param_groups for p in group["params"]]
    assert sum(p is model.lm_head.weight for p in found) == 1
    assert len(found) == len(list(model.parameters()))


def test_the_norm_is_reported_before_clipping_and_applied_after(
    make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    batch = [collate(rows_of(make_units(6)))]
    metrics, full = gradients(make_model(), NextToken(), batch)
    norm = math.sqrt(sum(float(g.double().square().sum()) for g in full))
    assert metrics["grad_norm"] == pytest.approx(norm, rel=1e-4)
    model = make_model()
    before = [p.detach().clone() for p in model.parameters()]
    clipped = updated(descending(model, max_grad_norm=0.01), NextToken(), batch, 0.8)
    moved = sum(
        (p - b).detach().double().square().sum()
        for p, b in zip(model.parameters(), before, strict=True)
    )
    assert clipped["grad_norm"] == metrics["grad_norm"]
    assert math.sqrt(moved) == pytest.approx(0.01, rel=1e-3)


def test_an_update_leaves_no_gradient_behind(
    make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    model = make_model()
    gradients(model, NextToken(), [collate(rows_of(make_units(3)))])
    assert all(p.grad is None for p in model.parameters())


def test_a_step_of_two_updates_averages_metrics_and_adds_tokens(
    make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    first, second = (collate(rows_of(make_units(5, seed=s))) for s in (0, 1))
    learner = descending(make_model(), rate=0.0)
    apart = [updated(learner, NextToken(), [b]) for b in (first, second)]
    step = Step([work_on([first]), work_on([second])])
    both = run_step(learner, NextToken(), step, meter(learner))
    assert both["num_tokens"] == first.num_tokens + second.num_tokens
    for name in ("loss", "grad_norm"):
        assert both[name] == pytest.approx((apart[0][name] + apart[1][name]) / 2)


def test_extremes_of_a_step_are_those_of_its_updates_and_micro_batches(
    make_model: Callable[..., Any], make_units: Callable[..., Any]
) -> None:
    parts = [collate(rows_of(valued(make_units(4, seed=s)))) for s in range(3)]
    learner, objective = descending(make_model(), rate=0.0), OBJECTIVES["tokens"]
    apart = [updated(learner, objective, [part]) for part in parts]
    step = Step([work_on(parts[:2]), work_on(parts[2:])])
    line = run_step(learner, objective, step, meter(learner))
    assert line["ratio_max"] == pytest.approx(max(one["ratio_max"] for one in apart))
    assert line["ratio_min"] == pytest.approx(min(one["ratio_min"] for one in apart))
    assert line["ratio_min"] < line["ratio"] < line["ratio_max"]


def test_a_step_without_updates_changes_nothing(make_model: Callable[..., Any]) -> None:
    model = make_model()
    before = copy.deepcopy(model.state_dict())
    learner = Learner(model, SETTINGS)
    metrics = run_step(learner, NextToken(), Step([]), meter(learner))
    assert metrics == {"loss": 0.0, "grad_norm": 0.0, "num_tokens": 0}
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_the_learning_rate_of_every_group_is_set(make_model: Callable[..., Any]) -> None:
    learner = Learner(make_model(), replace(SETTINGS, name="muon"))
    learner.set_learning_rate(5e-4)
    groups = [group for optimizer in learner.optimizers for group in optimizer.param_groups]
    assert [group["lr"] for group in groups] == [5e-4] * 3


class Breaking(NextToken):
    """Finite but in the calls of the given numbers, counted from 1."""

    def __init__(self, broken: Collection[int]) -> None:
        object.__setattr__(self, "broken", broken)
        object.__setattr__(self, "calls", 0)

    def __call__(self, scores: Scores, batch: MicroBatch, totals: Totals) -> Any:
        object.__setattr__(self, "calls", self.calls + 1)  # type: ignore[attr-defined]
        loss, metrics = super().__call__(scores, batch, totals)
        is_broken = self.calls in self.broken  # type: ignore[attr-defined]
        return (loss * float("nan") if is_broken else loss), metrics


def test_an_update_that_is_not_finite_is_skipped_and_counted(
    make_model: Callable[..., Any], make_units: Callable[..., Any], tmp_path: Path
) -> None:
    data = PackedData(make_units(20), Layout(40, 1, 1, "best-fit", epochs=1), seed=0)
    lines: list[dict[str, float]] = []
    weights: list[torch.Tensor] = []
    learner = Learner(make_model(), replace(SETTINGS, max_skipped=3))

    def look(done: int, total: int, metrics: dict[str, float], timing: dict[str, float]) -> None:
        lines.append(metrics)
        weights.append(learner.model.lm_head.weight.detach().clone())

    train(learner, data, Breaking({2, 3, 5}), tmp_path, Watcher(step=look))
    assert [line.get("skipped") for line in lines] == [None, 1, 1, None, 1]
    assert torch.equal(weights[0], weights[2]) and not torch.equal(weights[2], weights[3])
    assert all(weight.isfinite().all() for weight in weights)


def test_too_many_skipped_in_a_row_stop_with_the_batch_saved_and_the_checkpoint_kept(
    make_model: Callable[..., Any], make_units: Callable[..., Any], tmp_path: Path
) -> None:
    data = PackedData(make_units(20), Layout(40, 1, 1, "best-fit", epochs=2), seed=0)
    learner = Learner(make_model(), replace(SETTINGS, checkpoint_every=2, max_skipped=3))
    with pytest.raises(MinireasonError, match="not finite in 3 steps in a row, up to step 6"):
        train(learner, data, Breaking({4, 5, 6, 7, 8}), tmp_path)
    latest = Checkpoints(tmp_path / "checkpoints", learner).latest()
    assert latest is not None and latest.name == "step-000004"
    (saved,) = torch.load(tmp_path / "not-finite-step-000006-rank-0.pt")
    (expected,) = data.step(5).updates[0].micro_batches
    assert torch.equal(saved["ids_BT"], expected.ids_BT)
    assert all(p.isfinite().all() for p in learner.model.parameters())


def test_training_lowers_the_loss_and_reports_every_step(
    make_model: Callable[..., Any], make_units: Callable[..., Any], tmp_path: Path
) -> None:
    shown: list[tuple[int, int, float]] = []
    data = PackedData(make_units(6), Layout(40, 2, 2, "best-fit", epochs=15), seed=0)
    learner = Learner(make_model(), replace(SETTINGS, learning_rate=1e-2))
    watcher = Watcher(step=lambda n, of, metrics, timing: shown.append((n, of, metrics["loss"])))
    train(learner, data, NextToken(), tmp_path, watcher)
    assert [n for n, _, _ in shown] == list(range(1, data.num_steps + 1))
    assert {of for _, of, _ in shown} == {data.num_steps}
    assert shown[-1][2] < shown[0][2] / 2


class ByTokens(StepSource):
    """Ends after so many tokens; `num_steps` is what was expected."""

    def __init__(self, data: PackedData, num_tokens: int, num_steps: int) -> None:
        self.data, self.num_tokens, self.num_steps = data, num_tokens, num_steps

    def step(self, number: int) -> Step:
        return self.data.step(number)

    def seen(self, done: int) -> int:
        updates = [self.data.step(number).updates[0] for number in range(done)]
        return sum(batch.num_tokens for update in updates for batch in update.micro_batches)

    def progress(self, done: int) -> float:
        return self.seen(done) / self.num_tokens


def test_a_source_that_counts_no_steps_says_when_training_ends_and_how_far_the_schedule_is(
    make_model: Callable[..., Any], make_units: Callable[..., Any], tmp_path: Path
) -> None:
    data = PackedData(make_units(30), Layout(40, 1, 1, "best-fit", epochs=3), seed=0)
    source = ByTokens(data, num_tokens=100, num_steps=5)
    lines: list[dict[str, float]] = []
    settings = replace(SETTINGS, schedule="linear")
    watcher = Watcher(step=lambda done, total, metrics, timing: lines.append(metrics))
    train(Learner(make_model(), settings), source, NextToken(), tmp_path, watcher)
    assert source.seen(len(lines) - 1) < 100 <= source.seen(len(lines))
    shares = [1 - 0.9 * source.seen(done) / 100 for done in range(len(lines))]
    assert [line["lr"] for line in lines] == pytest.approx([1e-3 * share for share in shares])
