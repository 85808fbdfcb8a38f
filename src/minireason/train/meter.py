"""Where a step's time goes, how much of the device it uses, and how much memory."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import torch

from minireason.model.devices import peak_flops, peak_memory_gib
from minireason.model.flops import flop_cost
from minireason.train.packing import MicroBatch


class Meter:
    """Seconds by phase and operations of the model, from one step's line to the next."""

    def __init__(self, model: Any, device: torch.device, dtype: torch.dtype) -> None:
        name = str(dtype).removeprefix("torch.")
        self._device, self._peak = device, peak_flops(device, name)
        self._cost = flop_cost(model) if self._peak else None
        self._seconds: dict[str, float] = {}
        self._flops = 0.0
        self._since = time.perf_counter()

    @contextlib.contextmanager
    def time(self, phase: str) -> Iterator[None]:
        """Add the time of what runs inside to the phase."""
        started = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - started
            self._seconds[phase] = self._seconds.get(phase, 0.0) + elapsed

    def count(self, batch: MicroBatch) -> None:
        """Add the operations of training on a micro-batch, where the device's peak is known."""
        if self._cost:
            self._flops += self._cost.training(batch.lengths, batch.num_targets)

    def take(self, step: int, num_tokens: float) -> dict[str, float]:
        """The line of a step, and start again: seconds by phase, tokens a second, memory in GiB.

        `mfu` is this process's share of the device's peak, all phases counted. A checkpoint is
        saved after the line of its step is written, so its time is in the next.
        """
        now = time.perf_counter()
        elapsed_s, self._since = now - self._since, now
        line = {"step": step, "elapsed_s": elapsed_s, "tokens_per_s": num_tokens / elapsed_s}
        line |= {f"{phase}_s": seconds for phase, seconds in self._seconds.items()}
        if self._peak:
            line["mfu"] = self._flops / elapsed_s / self._peak
        line |= peak_memory_gib(self._device)
        self._seconds, self._flops = {}, 0.0
        return {name: round(value, 4) for name, value in line.items()}
