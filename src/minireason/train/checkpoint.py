"""Checkpoints: everything the next step depends on, in a folder that appears whole or not at all.

The step source and the schedules are functions of the step's number, so weights, optimizer state
and that number are all there is to save.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model

from minireason.train.optimizer import Optimizer


class Checkpoints:
    """The newest checkpoint of a stage, in `folder/step-NNNNNN`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def latest(self) -> Path | None:
        found = [p for p in self.folder.glob("step-*") if p.suffix != ".partial"]
        return max(found, key=_step_of, default=None)

    def save(self, step: int, model: Any, optimizer: Optimizer) -> None:
        """Save after `step` steps are done, once; then delete the older checkpoint."""
        target = self.folder / f"step-{step:06d}"
        if target.exists():
            return
        partial = target.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_model(model, str(partial / "model.safetensors"))
        torch.save(optimizer.state_dict(), partial / "optimizer.pt")
        for file in partial.iterdir():
            _sync(file)
        partial.rename(target)
        _sync(self.folder)  # the new name is on disk before the old checkpoint goes
        for old in self.folder.glob("step-*"):
            if old != target:
                shutil.rmtree(old)

    def restore(self, model: Any, optimizer: Optimizer) -> int:
        """Load the newest checkpoint into model and optimizer; the number of steps done, or 0."""
        latest = self.latest()
        if latest is None:
            return 0
        load_model(model, str(latest / "model.safetensors"))
        optimizer.load_state_dict(
            torch.load(latest / "optimizer.pt", map_location=model.device, weights_only=True)
        )
        return _step_of(latest)


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
