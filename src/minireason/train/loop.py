"""The one training loop: every stage, every objective."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from minireason.errors import MinireasonError
from minireason.train.checkpoint import Checkpoints
from minireason.train.data import Step, StepSource
from minireason.train.forward import score
from minireason.train.interrupt import finish_step_on_interrupt
from minireason.train.metrics import MetricsLog
from minireason.train.objectives import Metrics, Objective, Totals
from minireason.train.optimizer import Optimizer, OptimizerSettings, build_optimizer
from minireason.train.packing import MicroBatch
from minireason.train.schedule import learning_rate

OnStep = Callable[[int, int, dict[str, float]], None]


def train(
    model: Any,
    source: StepSource,
    objective: Objective,
    settings: OptimizerSettings,
    folder: Path,
    on_step: OnStep = lambda step, num_steps, metrics: None,
) -> None:
    """Train to the source's last step, from the newest checkpoint in `folder` if there is one.

    Raises KeyboardInterrupt after Ctrl-C, with the finished steps saved.
    """
    optimizer = build_optimizer(model, settings)
    checkpoints, log = Checkpoints(folder / "checkpoints"), MetricsLog(folder)
    first_step = checkpoints.restore(model, optimizer)
    log.keep_first(first_step)
    model.train()
    with finish_step_on_interrupt() as interrupt:
        for number in range(first_step, source.num_steps):
            started = time.perf_counter()
            set_learning_rate(optimizer, settings, number, source.num_steps)
            step = source.step(number)
            metrics = run_step(model, optimizer, objective, step, settings.max_grad_norm)
            done = number + 1
            line = {"step": done, "lr": optimizer.param_groups[0]["lr"], **metrics, **step.metrics}
            elapsed_s = time.perf_counter() - started
            log.write(line, _timing(done, elapsed_s, line["num_tokens"]))
            on_step(done, source.num_steps, line)
            must_stop = interrupt.is_requested  # read once: it may change at any moment
            if done % settings.checkpoint_every == 0 or must_stop:
                checkpoints.save(done, model, optimizer)
            if must_stop:
                raise KeyboardInterrupt
        if interrupt.is_requested:  # after the last step had looked
            checkpoints.save(source.num_steps, model, optimizer)


def run_step(
    model: Any,
    optimizer: Optimizer,
    objective: Objective,
    step: Step,
    max_grad_norm: float,
) -> dict[str, float]:
    """Apply a step's updates; their metrics averaged, their tokens added up."""
    results = [
        update(model, optimizer, objective, micro_batches, step.temperature, max_grad_norm)
        for micro_batches in step.updates
    ]
    names = results[0] if results else {"loss": 0.0, "grad_norm": 0.0}
    averaged = {n: sum(r[n] for r in results) / max(1, len(results)) for n in names}
    tokens = sum(batch.num_tokens for micro_batches in step.updates for batch in micro_batches)
    return {**averaged, "num_tokens": tokens}


def update(
    model: Any,
    optimizer: Optimizer,
    objective: Objective,
    micro_batches: Sequence[MicroBatch],
    temperature: float,
    max_grad_norm: float,
) -> dict[str, float]:
    """One optimizer update from gradients accumulated over the micro-batches.

    Every micro-batch is divided by the totals of the whole update, so its split into micro-batches
    does not change it.
    """
    totals = Totals(
        num_targets=sum(batch.num_targets for batch in micro_batches),
        num_sequences=sum(batch.num_sequences for batch in micro_batches),
    )
    sums: Metrics = {}
    for batch in micro_batches:
        on_device = batch.to(model.device)
        loss, metrics = objective(score(model, on_device, temperature), on_device, totals)
        loss.backward()
        for name, value in {"loss": loss.detach(), **metrics}.items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value
    grad_norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    if not math.isfinite(float(grad_norm)):
        raise MinireasonError(
            f"the gradient norm is {float(grad_norm)} and the loss {float(sums['loss'])}: training "
            "has diverged; lower the learning rate (the last checkpoint is kept)"
        )
    optimizer.step()
    optimizer.zero_grad()
    return {**{name: float(v) for name, v in sums.items()}, "grad_norm": float(grad_norm)}


def set_learning_rate(
    optimizer: Optimizer, settings: OptimizerSettings, step: int, num_steps: int
) -> None:
    rate = learning_rate(
        step, num_steps, settings.learning_rate, settings.warmup_ratio, settings.schedule
    )
    for group in optimizer.param_groups:
        group["lr"] = rate


def _timing(step: int, elapsed_s: float, num_tokens: float) -> dict[str, float]:
    return {
        "step": step,
        "elapsed_s": round(elapsed_s, 4),
        "tokens_per_s": round(num_tokens / elapsed_s, 1),
    }
