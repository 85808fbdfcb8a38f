"""Checkpoints: everything the next step depends on, in a folder that appears whole or not at all.

The step source, the schedules and the random numbers of a step are functions of the step's number
(and the process's), so what is saved is weights, optimizer state, that number, and the state of
what watches the training. torch's distributed checkpoint holds them by parameter name, so a run
may go on with another number of processes. Tensors are copied at once and written meanwhile.
"""

from __future__ import annotations

import os
import shutil
import warnings
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_state_dict,
    set_model_state_dict,
    set_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save

from minireason.runfolder import read_json, write_json
from minireason.train.learner import Learner

STATE = "state.json"


class Checkpoints:
    """The newest `keep` checkpoints, `folder/step-NNNNNN`, and the best weights, `best-NNNNNN`."""

    def __init__(self, folder: Path, learner: Learner, keep: int = 1) -> None:
        self.folder, self.learner, self.keep = folder, learner, keep
        # one process needs no process group, and torch says so at every save
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        named = learner.model.named_parameters(remove_duplicate=False)
        self._frozen = {name for name, parameter in named if not parameter.requires_grad}
        self._options = StateDictOptions(
            ignore_frozen_params=bool(self._frozen), strict=not self._frozen
        )
        self._writing: Future[None] | None = None
        self._group: Any = None

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Save after `step` steps are done, once; then delete checkpoints beyond the newest."""
        target = self.folder / f"step-{step:06d}"
        self.wait()
        if target.exists():
            return
        optimizers = self.learner.optimizers
        is_fresh = not any(optimizer.state for optimizer in optimizers)
        model, optimizer = self._state()
        if is_fresh:  # torch has made a state by a step of zeros, which must not count as a step
            for moments in optimizer["state"].values():
                moments.get("step", torch.zeros(())).zero_()
            for each in optimizers:
                each.state.clear()
        self._write(target, {"model": model, "optimizer": optimizer}, {"step": step, **state})

    def save_best(self, step: int) -> None:
        """Keep the weights as they are after `step` steps, in place of the best before."""
        target = self.folder / f"best-{step:06d}"
        self.wait()
        if target.exists():
            return
        weights = self._weights()
        self._write(target, {"model": weights}, {"step": step})

    def wait(self) -> None:
        """Until what is being written lies there whole, in every process."""
        self.close()
        self.learner.world.wait()

    def close(self) -> None:
        """Until this process has written its part. Raises what writing raised."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()

    def restore(self) -> dict[str, Any]:
        """Load the newest checkpoint and return its state: `step` (0 without one) and the rest."""
        latest = self.latest()
        if latest is None:
            return {"step": 0}
        model, optimizer = self._state()
        state: dict[str, Any] = {"model": model, "optimizer": optimizer}
        load(state, checkpoint_id=latest)
        set_state_dict(
            self.learner.model,
            self.learner.optimizers,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
            options=self._options,
        )
        return dict(read_json(latest / STATE))

    def restore_best(self) -> None:
        """Load the best weights, if any were kept."""
        self.wait()
        best = self.latest("best")
        if best is None:
            return
        state = {"model": self._weights()}
        load(state, checkpoint_id=best)
        set_model_state_dict(self.learner.model, state["model"], options=self._options)

    def latest(self, kind: str = "step") -> Path | None:
        return max(self._whole(kind), key=_step_of, default=None)

    def _whole(self, kind: str) -> list[Path]:
        return [p for p in self.folder.glob(f"{kind}-*") if p.suffix != ".partial"]

    def _weights(self) -> dict[str, Any]:
        return self._trained(get_model_state_dict(self.learner.model, options=self._options))

    def _state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        learner = self.learner
        model, optimizer = get_state_dict(learner.model, learner.optimizers, options=self._options)
        return self._trained(model), optimizer

    def _trained(self, weights: dict[str, Any]) -> dict[str, Any]:
        """Without the frozen ones, of which torch leaves out only the first of two tied names."""
        return {name: weight for name, weight in weights.items() if name not in self._frozen}

    def _write(self, target: Path, tensors: dict[str, Any], state: dict[str, Any]) -> None:
        partial = target.with_suffix(".partial")
        if self.learner.world.is_main:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            write_json(partial / STATE, state)
        self.learner.world.wait()
        written: Any = async_save(tensors, checkpoint_id=partial, process_group=self._own_group())
        whole: Future[None] = Future()
        self._writing = whole
        written.add_done_callback(lambda future: self._finish(future, target, whole))

    def _own_group(self) -> Any:
        """A group for the writing threads, whose messages must not mix with the training's."""
        if self.learner.world.size > 1 and self._group is None:
            self._group = dist.new_group(backend="gloo")
        return self._group

    def _finish(self, written: Future[Any], target: Path, whole: Future[None]) -> None:
        """In the writing thread: give the whole folder its name, then delete older ones."""
        try:
            written.result()
            if self.learner.world.is_main:
                _rename(target.with_suffix(".partial"), target)
                kind = target.name.partition("-")[0]
                kept = self.keep if kind == "step" else 1
                for old in sorted(self._whole(kind), key=_step_of)[:-kept]:
                    shutil.rmtree(old)
        except BaseException as error:
            whole.set_exception(error)
        else:
            whole.set_result(None)


def _rename(partial: Path, target: Path) -> None:
    partial.rename(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # the new name is on disk before an old checkpoint goes
    finally:
        os.close(descriptor)


def _step_of(folder: Path) -> int:
    return int(folder.name.partition("-")[2])
