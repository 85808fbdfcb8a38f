"""Checkpoints: everything the next step depends on, in a folder that appears whole or not at all.

The schedules and the random numbers of a step are functions of the step's number (and the
process's), so what is saved is weights and optimizer state, of the model and of its companions
(`StepSource`), that number, and the state of the step source and of what watches the training.
torch's distributed checkpoint holds them by parameter name, so a run may go on with another number
of processes. Tensors are copied at once and written meanwhile.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch.distributed as dist
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import async_save

from minireason.runfolder import read_json, write_json
from minireason.train.learner import Learner
from minireason.train.learner_state import LearnerState

ALONE: Mapping[str, Learner] = MappingProxyType({})
STATE = "state.json"
FILES = "files"
NO_FILES: Mapping[str, Path] = MappingProxyType({})


class Checkpoints:
    """The newest `keep` checkpoints, `folder/step-NNNNNN`, and the best weights, `best-NNNNNN`."""

    def __init__(
        self,
        folder: Path,
        learner: Learner,
        keep: int = 1,
        companions: Mapping[str, Learner] = ALONE,
    ) -> None:
        self.folder, self.learner, self.keep = folder, learner, keep
        # one process needs no process group, and torch says so at every save
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)
        self._main = LearnerState(learner)
        self._companions = {f"companion-{n}": LearnerState(each) for n, each in companions.items()}
        self._writing: Future[None] | None = None
        self._group: Any = None

    def save(self, step: int, state: dict[str, Any], files: Mapping[str, Path] = NO_FILES) -> None:
        """Save after `step` steps are done, once; then delete checkpoints beyond the newest.

        Of the files, by name, the main process keeps its own as they are now.
        """
        target = self.folder / f"step-{step:06d}"
        self.wait()
        if target.exists():
            return
        tensors = self._of_all(LearnerState.tensors)
        self._write(target, tensors, {"step": step, **state}, files)

    def save_best(self, step: int) -> None:
        """Keep the weights as they are after `step` steps, in place of the best before."""
        target = self.folder / f"best-{step:06d}"
        self.wait()
        if target.exists():
            return
        self._write(target, {"model": self._main.weights()}, {"step": step})

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
        state = self._of_all(LearnerState.room)
        load(state, checkpoint_id=latest)
        self._main.take(state)
        for name, each in self._companions.items():
            each.take(state[name])
        return dict(read_json(latest / STATE))

    def files(self) -> dict[str, Path]:
        """The files of the newest checkpoint, by name."""
        latest = self.latest()
        return {path.name: path for path in sorted((latest / FILES).iterdir())} if latest else {}

    def restore_best(self) -> None:
        """Load the best weights, if any were kept."""
        self.wait()
        best = self.latest("best")
        if best is None:
            return
        state = {"model": self._main.weights()}
        load(state, checkpoint_id=best)
        self._main.take_weights(state["model"])

    def latest(self, kind: str = "step") -> Path | None:
        return max(self._whole(kind), key=_step_of, default=None)

    def _whole(self, kind: str) -> list[Path]:
        return [p for p in self.folder.glob(f"{kind}-*") if p.suffix != ".partial"]

    def _of_all(self, part: Callable[[LearnerState], dict[str, Any]]) -> dict[str, Any]:
        return part(self._main) | {name: part(each) for name, each in self._companions.items()}

    def _write(
        self,
        target: Path,
        tensors: dict[str, Any],
        state: dict[str, Any],
        files: Mapping[str, Path] = NO_FILES,
    ) -> None:
        partial = target.with_suffix(".partial")
        if self.learner.world.is_main:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            write_json(partial / STATE, state)
            (partial / FILES).mkdir()
            for name, path in files.items():
                shutil.copyfile(path, partial / FILES / name)
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
