"""Trackers: a training's metrics in TensorBoard, Trackio or Weights & Biases as well.

`metrics.jsonl` holds everything; a tracker is a window onto it. After a resume a tracker is given
the steps it lacks and none that it has: a step done again has the same values. To add one: a class
here, an entry in `TRACKERS` and in the recipe's `run.trackers`, and an extra of its name.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import uuid
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from minireason.errors import MissingError
from minireason.runfolder import write_text


@dataclass(frozen=True, slots=True)
class Tracked:
    """What is tracked: a step's folder, its run's name and recipe, and how many steps are done."""

    folder: Path
    run_name: str
    config: Mapping[str, Any]
    num_steps: int = 0

    @property
    def run_id(self) -> str:
        """Made once for a folder and kept in it: `sft-1f3a9c20`; a step redone is another run."""
        path = self.folder / "tracker_id"
        if not path.is_file():
            write_text(path, f"{self.folder.name}-{uuid.uuid4().hex[:8]}")
        return path.read_text(encoding="utf-8")


class Tracker(Protocol):
    """One destination. `last_step` is the newest step it holds, 0 if none."""

    last_step: int

    def log(self, step: int, values: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Event files in the step's own folder: `tensorboard --logdir RUN_FOLDER`."""

    def __init__(self, tracked: Tracked) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = tracked.folder / "tensorboard"
        is_there = any(folder.glob("events.out.tfevents.*"))
        self.last_step = tracked.num_steps if is_there else 0
        # TensorBoard hides what an earlier process wrote from `purge_step` on
        self._writer = SummaryWriter(str(folder), purge_step=self.last_step + 1)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()  # a step is in the file before a checkpoint says that it is done

    def close(self) -> None:
        self._writer.close()


class Trackio:
    """A local database in the run's folder, sent nowhere unless Trackio's own variables say so.

    `TRACKIO_DIR=RUN_FOLDER/trackio trackio show` looks at it. Trackio reads that variable once in a
    process, so it holds for the first run folder of the process; one that is set is kept.
    """

    def __init__(self, tracked: Tracked) -> None:
        os.environ.setdefault("TRACKIO_DIR", str(tracked.folder.resolve().parent / "trackio"))
        import trackio
        from trackio.sqlite_storage import SQLiteStorage

        with contextlib.redirect_stdout(sys.stderr):
            self._run = trackio.init(
                project=tracked.run_name,
                name=tracked.run_id,
                config=dict(tracked.config),
                resume="allow",
                embed=False,
                auto_log_gpu=False,
                auto_log_cpu=False,
            )
        self._finish = trackio.finish
        held = SQLiteStorage.get_max_step_for_run(tracked.run_name, tracked.run_id)
        self.last_step = held or 0

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        with contextlib.redirect_stdout(sys.stderr):
            self._finish()


class Wandb:
    """Weights & Biases; `WANDB_MODE=offline` keeps it in the step's folder.

    Written against its documentation (docs.wandb.ai, `init` and resuming) and tested with a fake
    module, not with the real one. A resumed run counts on from the step after its last, and the
    service ignores steps that it has.
    """

    def __init__(self, tracked: Tracked) -> None:
        import wandb

        self._run = wandb.init(
            project=tracked.run_name,
            id=tracked.run_id,
            name=tracked.folder.name,
            dir=str(tracked.folder),
            config=dict(tracked.config),
            resume="allow",
        )
        self.last_step = max(0, self._run.step - 1)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def close(self) -> None:
        self._run.finish()


TRACKERS: dict[str, Callable[[Tracked], Tracker]] = {
    "tensorboard": TensorBoard,
    "trackio": Trackio,
    "wandb": Wandb,
}


@dataclass
class Trackers:
    """Those of a training. One that fails is dropped with a warning; training goes on."""

    open: dict[str, Tracker] = field(default_factory=dict)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Give a step's values to every tracker that lacks the step."""
        named = {k: value for k, value in values.items() if k != "step" and value is not None}
        for name, tracker in list(self.open.items()):
            if step > tracker.last_step:
                self._try(name, partial(tracker.log, step, named))

    def close(self) -> None:
        """Close them all; none is open afterwards."""
        for name, tracker in list(self.open.items()):
            self._try(name, tracker.close)
        self.open.clear()

    def _try(self, name: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # a full disk or a lost network there must not end training here
            del self.open[name]
            warnings.warn(
                f"the tracker {name} failed and is left out from here on ({error!r}); "
                f"metrics.jsonl has everything",
                stacklevel=3,
            )


def require_trackers(names: Sequence[str]) -> None:
    """Raise MissingError naming the extra if a tracker's package is not installed."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise MissingError(
                f"run.trackers holds {name!r}, whose package is not installed; install it with "
                f"pip install 'minireason[{name}]', or take it out of run.trackers"
            )


def open_trackers(
    names: Sequence[str],
    folder: Path,
    run_name: str,
    config: Mapping[str, Any],
    num_steps: int = 0,
) -> Trackers:
    """Open trackers by name for a step's folder in which `num_steps` training steps are done."""
    require_trackers(names)
    tracked = Tracked(folder, run_name, config, num_steps)
    return Trackers({name: TRACKERS[name](tracked) for name in names})


def no_trackers(num_steps: int) -> Trackers:
    """None: the JSON lines alone."""
    return Trackers()
