"""The one training loop: every stage, every objective, any number of processes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from minireason.interrupt import Interrupt, finish_step_on_interrupt
from minireason.seeding import derive_seed
from minireason.train.checkpoint import Checkpoints
from minireason.train.data import Step, StepSource, Update
from minireason.train.guards import FiniteGuard, memory_explained
from minireason.train.learner import Learner
from minireason.train.meter import Meter
from minireason.train.metrics import MetricsLog
from minireason.train.objectives import Objective
from minireason.train.packing import MicroBatch
from minireason.train.reduction import mean, total
from minireason.train.schedule import learning_rate
from minireason.train.spikes import SpikeDetector
from minireason.train.tracking import Trackers, no_trackers
from minireason.train.validation import Validation

Values = dict[str, float]
REHEARSED_STEPS = 100
"""A run of so many steps starts with a dry run of its largest micro-batch."""


@dataclass(frozen=True, slots=True)
class Watcher:
    """Who is told of the training: after every step, of what is worth a line, and trackers."""

    step: Callable[[int, int, Values, Values], None] = lambda done, total, metrics, timing: None
    note: Callable[[str], None] = lambda text: None
    trackers: Callable[[int], Trackers] = no_trackers


def train(
    learner: Learner,
    source: StepSource,
    objective: Objective,
    folder: Path,
    watcher: Watcher | None = None,
    validation: Validation | None = None,
) -> None:
    """Train to the source's last step, from the newest checkpoint in `folder` if there is one.

    With a validation, training ends when it no longer improves, and the best weights stay. Raises
    KeyboardInterrupt after Ctrl-C and Preempted after SIGTERM, with the finished steps saved, and
    MinireasonError where gradients stay without finite values or the memory is too small.
    """
    course = Course(learner, source, objective, folder, watcher or Watcher(), validation)
    course.restore()
    with finish_step_on_interrupt() as interrupt, contextlib.closing(course):
        course.run(interrupt)
    if validation:
        course.checkpoints.restore_best()


class Course:
    """One training from where it stands to its end."""

    def __init__(
        self,
        learner: Learner,
        source: StepSource,
        objective: Objective,
        folder: Path,
        watcher: Watcher,
        validation: Validation | None,
    ) -> None:
        self.learner, self.source, self.objective = learner, source, objective
        self.watcher, self.validation = watcher, validation
        settings = learner.settings
        self.guard = FiniteGuard(folder, settings.max_skipped, learner.world.rank)
        self.checkpoints = Checkpoints(
            folder / "checkpoints", learner, settings.keep_checkpoints, source.companions
        )
        self.log = MetricsLog(folder, watcher.trackers) if learner.world.is_main else None
        self.spikes = SpikeDetector()
        self.done = 0

    def restore(self) -> None:
        """Take up the newest checkpoint, and forget what was logged after it."""
        state = self.checkpoints.restore()
        self.done = state["step"]
        self.guard.load_state_dict(state.get("guard", {}))
        self.source.load_state_dict(state.get("source", {}), self.checkpoints.files())
        if self.validation:
            self.validation.load_state_dict(state.get("validation", {}))
        if self.log:
            self.log.keep_first(self.done)
            self.spikes = SpikeDetector(self.log.series("loss"))

    def save(self) -> None:
        """Save what is needed to go on from here."""
        files = self.source.files()
        state = {"guard": self.guard.state_dict(), "source": self.source.state_dict()}
        if self.validation:
            state["validation"] = self.validation.state_dict()
        self.checkpoints.save(self.done, state, files)

    def close(self) -> None:
        """Wait for what is still being sampled or written."""
        self.source.close()
        self.checkpoints.close()
        if self.log:
            self.log.close()

    @property
    def is_at_end(self) -> bool:
        return self.source.progress(self.done) >= 1

    @property
    def is_over(self) -> bool:
        return self.is_at_end or (self.validation is not None and self.validation.is_saturated)

    def run(self, interrupt: Interrupt) -> None:
        """Go on to the end, or until all processes agree that somebody has asked to stop."""
        self.learner.model.train()  # activations are computed again in training alone
        if self.source.num_steps - self.source.position(self.done) >= REHEARSED_STEPS:
            self.rehearse()
        meter = Meter(self.learner.model, self.learner.device, self.learner.dtype)
        while not self.is_over:
            self.advance(meter)
            # Looked at once, since it may change at any moment, and together with the others.
            asked = interrupt.agreed(self.learner.world)
            if asked or self.done % self.learner.settings.checkpoint_every == 0:
                with meter.time("checkpoint"):
                    self.save()
            if asked:
                break
        if interrupt.agreed(self.learner.world):  # also after the last step had looked
            self.save()
            interrupt.stop()

    def advance(self, meter: Meter) -> None:
        """One step, its line in the log, and what watches over it."""
        learner, done = self.learner, self.done
        seed = learner.settings.seed
        torch.manual_seed(derive_seed(seed, "dropout", done, learner.world.rank))
        rates = self._set_learning_rates()
        with meter.time("data"):
            step = self.source.step(done)
        metrics = {"step": done + 1, **rates, **run_step(learner, self.objective, step, meter)}
        self.done += 1
        self.guard.check(self.done, metrics, step)
        if self.validation and self.validation.is_due(self.done, is_last=self.is_at_end):
            with meter.time("validation"):
                metrics |= self.validation.measure(self.done, learner)
                if self.validation.is_best:
                    self.checkpoints.save_best(self.done)
        timing = meter.take(self.done, metrics["num_tokens"]) | step.timing
        if self.log:
            self.log.write(metrics, timing)
        if step.updates and (note := self.spikes.note(metrics["loss"])):
            self.watcher.note(f"step {self.done}: {note}")
        self.watcher.step(self.done, self.source.num_steps, metrics, timing)

    def rehearse(self) -> None:
        """A dry run of the largest micro-batch: too little memory shows now, not after hours."""
        learner, batch = self.learner, self.source.largest().to(self.learner.device)
        with memory_explained(batch, learner.device):
            needs_entropy = self.objective.needs_entropy
            learner.score(batch, 1.0, with_entropy=needs_entropy).logprobs_N.sum().backward()
        learner.forget_gradients()
        if learner.device.type == "cuda":
            peak = torch.cuda.max_memory_allocated(learner.device) / 2**30
            self.watcher.note(
                f"dry run of the largest micro-batch, {batch.num_tokens} tokens: {peak:.1f} GiB"
            )
            torch.cuda.reset_peak_memory_stats(learner.device)

    def _set_learning_rates(self) -> Values:
        """Those of this step, each model's by its own settings, as metrics."""
        companions = {f"{name}_lr": learner for name, learner in self.source.companions.items()}
        rates = {}
        for name, learner in {"lr": self.learner, **companions}.items():
            settings = learner.settings
            rates[name] = learning_rate(
                self.source.position(self.done),
                self.source.num_steps,
                settings.learning_rate,
                settings.warmup_ratio,
                settings.schedule,
            )
            learner.set_learning_rate(rates[name])
        return rates


def run_step(learner: Learner, objective: Objective, step: Step, meter: Meter) -> Values:
    """Apply a step's updates; their metrics averaged, their tokens and skips added up."""
    results = [update(learner, objective, work, step.temperature, meter) for work in step.updates]
    skipped = sum(result.pop("skipped", 0.0) for result in results)
    results = results or [dict.fromkeys(("loss", "grad_norm", "num_tokens"), 0.0)]
    averaged = {name: mean(name, [result[name] for result in results]) for name in results[0]}
    num_tokens = int(sum(result["num_tokens"] for result in results))
    line = {**averaged, "num_tokens": num_tokens, **step.metrics}
    return line | ({"skipped": skipped} if skipped else {})


def update(
    learner: Learner, objective: Objective, work: Update, temperature: float, meter: Meter
) -> Values:
    """One optimizer update from gradients accumulated over micro-batches and processes.

    Everything is divided by the totals of the whole update, so how it is split does not change it.
    Gradients that are not finite are dropped and the update is skipped.
    """
    parts: list[dict[str, torch.Tensor]] = []
    with meter.time("forward_backward"):
        for batch in work.micro_batches:
            meter.count(batch)
            parts.append(backward(learner, objective, batch, work, temperature))
        grad_norm = learner.gradient_norm()
    every = learner.gather(
        torch.stack([torch.stack([part[name].double() for part in parts]) for name in parts[0]])
    )
    metrics = {
        name: total(name, values.flatten().tolist())
        for name, values in zip(parts[0], every, strict=True)
    }
    metrics["grad_norm"] = grad_norm
    with meter.time("optimizer"):
        if math.isfinite(grad_norm) and math.isfinite(metrics["loss"]):
            learner.apply_gradients()
        else:
            metrics["skipped"] = 1.0
        learner.forget_gradients()
    return metrics


def backward(
    learner: Learner, objective: Objective, batch: MicroBatch, work: Update, temperature: float
) -> dict[str, torch.Tensor]:
    """Add one micro-batch's gradients; its loss and metrics, which add up to the update's."""
    batch = batch.to(learner.device)
    with memory_explained(batch, learner.device):
        scores = learner.score(batch, temperature, with_entropy=objective.needs_entropy)
        loss, metrics = objective(scores, batch, work.totals)
        loss.backward()
    tokens = (batch.segments_BT > 0).sum()
    return {"loss": loss.detach(), **metrics, "num_tokens": tokens}
