"""Trackers hold every step once, also after a kill and a resume, and cannot end a training."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from minireason.errors import MissingError
from minireason.recipe.schema import Run
from minireason.train import tracking
from minireason.train.metrics import MetricsLog
from minireason.train.tracking import TRACKERS, Tracked, Trackers, open_trackers

ROOT = Path(__file__).parents[2]
EXPECTED = {step: pytest.approx(1 / step) for step in range(1, 7)}


def needs(package: str) -> Any:
    is_absent = importlib.util.find_spec(package) is None
    reason = f"{package} is not installed: pip install 'minireason[{package}]'"
    return pytest.mark.skipif(is_absent, reason=reason)


def train(folder: Path, names: list[str], first: int, last: int) -> MetricsLog:
    """Log the steps after `first` up to `last`, as a process would that resumes at `first`."""
    folder.mkdir(parents=True, exist_ok=True)
    log = MetricsLog(folder, partial(open_trackers, names, folder, "my run", {"sft": {"lr": 0.1}}))
    log.keep_first(first)
    for step in range(first + 1, last + 1):
        log.write({"step": step, "loss": 1 / step}, {"step": step, "tokens_per_s": 100.0})
    return log


def tensorboard_scalars(folder: Path, name: str) -> dict[int, float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    scalars = events.Scalars(name)
    assert len({scalar.step for scalar in scalars}) == len(scalars), "a step appears twice"
    return {scalar.step: scalar.value for scalar in scalars}


@needs("tensorboard")
def test_tensorboard_has_every_step(tmp_path: Path) -> None:
    train(tmp_path / "sft", ["tensorboard"], 0, 6).close()
    assert tensorboard_scalars(tmp_path / "sft", "loss") == EXPECTED
    assert tensorboard_scalars(tmp_path / "sft", "tokens_per_s") == dict.fromkeys(range(1, 7), 100)


@needs("tensorboard")
@pytest.mark.parametrize("resumed_at", [0, 2, 5])
def test_tensorboard_has_every_step_once_after_a_resume(resumed_at: int, tmp_path: Path) -> None:
    train(tmp_path / "sft", ["tensorboard"], 0, 5)  # and dies without closing
    train(tmp_path / "sft", ["tensorboard"], resumed_at, 6).close()
    assert tensorboard_scalars(tmp_path / "sft", "loss") == EXPECTED


@needs("tensorboard")
def test_a_tracker_named_for_the_first_time_in_a_resume_gets_the_steps_before(
    tmp_path: Path,
) -> None:
    train(tmp_path / "sft", [], 0, 5).close()
    train(tmp_path / "sft", ["tensorboard"], 3, 6).close()
    assert tensorboard_scalars(tmp_path / "sft", "loss") == EXPECTED


def trackio_rows(run_dir: Path) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """Steps and metrics of each run in Trackio's database, read without Trackio."""
    import sqlite3

    (database,) = (run_dir / "trackio").glob("*.db")
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select run_name, step, metrics from metrics order by step")
        found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        for run, step, metrics in rows:
            found.setdefault(run, []).append((step, json.loads(metrics)))
    return found


def in_a_process(code: str, **variables: str) -> None:
    """Trackio settles its folder when it is imported, so each run folder needs a process."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("TRACKIO")}
    paths = os.pathsep.join([str(ROOT / "src"), str(Path(__file__).parent)])
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from pathlib import Path\nfrom test_tracking import train\n{code}",
        ],
        env=inherited | {"PYTHONPATH": paths} | variables,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


@needs("trackio")
def test_trackio_has_every_step_once_after_a_kill_and_a_resume(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "sft"
    in_a_process(
        f"import os, time\ntrain(Path({str(folder)!r}), ['trackio'], 0, 5)\n"
        "time.sleep(1.5)\nos._exit(0)"
    )
    in_a_process(f"train(Path({str(folder)!r}), ['trackio'], 3, 6).close()")
    ((run, rows),) = trackio_rows(tmp_path / "run").items()
    assert run.startswith("sft-")
    assert {step: metrics["loss"] for step, metrics in rows} == EXPECTED
    assert len(rows) == 6


@needs("trackio")
def test_trackio_gets_what_a_kill_kept_from_it(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "sft"
    in_a_process(f"import os\ntrain(Path({str(folder)!r}), ['trackio'], 0, 5)\nos._exit(0)")
    in_a_process(f"train(Path({str(folder)!r}), ['trackio'], 5, 6).close()")
    (rows,) = trackio_rows(tmp_path / "run").values()
    assert [(step, metrics["loss"]) for step, metrics in rows] == list(EXPECTED.items())


@needs("trackio")
def test_trackio_keeps_the_stages_of_a_run_apart_and_the_user_s_own_folder(tmp_path: Path) -> None:
    code = "".join(
        f"train(Path({str(tmp_path / 'run' / name)!r}), ['trackio'], 0, {last}).close()\n"
        for name, last in (("sft", 2), ("dpo", 3))
    )
    in_a_process(code, TRACKIO_DIR=str(tmp_path / "mine" / "trackio"))
    rows = trackio_rows(tmp_path / "mine")
    assert sorted((name.split("-")[0], len(steps)) for name, steps in rows.items()) == [
        ("dpo", 3),
        ("sft", 2),
    ]
    assert not (tmp_path / "run" / "trackio").exists()


class FakeWandb:
    """As documented: runs by id, which a resume counts on from; an older step is ignored."""

    def __init__(self) -> None:
        self.arguments: list[dict[str, Any]] = []
        self.runs: dict[str, dict[int, dict[str, float]]] = {}
        self.num_finished = 0

    def init(self, **arguments: Any) -> Any:
        self.arguments.append(arguments)
        history = self.runs.setdefault(arguments["id"], {})

        def log(values: dict[str, float], step: int) -> None:
            assert step not in history, "logged twice"
            history[step] = values

        def finish() -> None:
            self.num_finished += 1

        return SimpleNamespace(step=max(history, default=-1) + 1, log=log, finish=finish)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)  # type: ignore[arg-type]
    monkeypatch.setattr(tracking, "require_trackers", lambda names: None)
    return fake


def test_wandb_is_resumed_by_an_id_of_the_folder_and_gets_every_step_once(
    wandb: FakeWandb, tmp_path: Path
) -> None:
    train(tmp_path / "sft", ["wandb"], 0, 5)
    train(tmp_path / "sft", ["wandb"], 2, 6).close()
    (history,) = wandb.runs.values()
    assert {step: values["loss"] for step, values in history.items()} == EXPECTED
    first, second = wandb.arguments
    assert (
        first
        == second
        == {
            "project": "my run",
            "id": Tracked(tmp_path / "sft", "my run", {}).run_id,
            "name": "sft",
            "dir": str(tmp_path / "sft"),
            "config": {"sft": {"lr": 0.1}},
            "resume": "allow",
        }
    )
    assert wandb.num_finished == 1


class Failing:
    """A tracker that breaks from its third step on, and when it is closed."""

    def __init__(self, tracked: Tracked) -> None:
        self.last_step, self.seen = 0, []  # type: ignore[var-annotated]

    def log(self, step: int, values: Mapping[str, float]) -> None:
        if step >= 3:
            raise OSError("no space left on device")
        self.seen.append(step)

    def close(self) -> None:
        raise RuntimeError("closed twice")


def test_a_tracker_that_fails_is_left_out_with_one_warning_and_the_log_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(TRACKERS, "wandb", Failing)
    monkeypatch.setattr(tracking, "require_trackers", lambda names: None)
    with pytest.warns(UserWarning, match="wandb failed .*no space left.* metrics.jsonl") as found:
        log = train(tmp_path, ["wandb"], 0, 6)
        log.close()
    assert len(found) == 1
    assert [json.loads(line)["step"] for line in log.metrics_path.open()] == list(range(1, 7))


def test_a_tracker_that_fails_to_close_is_told_and_no_error() -> None:
    trackers = Trackers({"wandb": Failing(Tracked(Path(), "", {}))})
    with pytest.warns(UserWarning, match="closed twice"):
        trackers.close()
    trackers.close()


def test_a_tracker_without_its_package_is_an_error_that_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"pip install 'minireason\[trackio\]'"):
        open_trackers(["trackio"], tmp_path, "run", {})
    assert list(tmp_path.iterdir()) == []


def test_the_recipe_allows_every_tracker_and_no_other() -> None:
    (allowed,) = get_args(Run.model_fields["trackers"].annotation)
    assert set(get_args(allowed)) == set(TRACKERS)


def test_no_tracker_imports_its_package_before_it_is_opened() -> None:
    code = "import sys, minireason.train.metrics; print({*sys.modules} & {'torch', 'trackio'})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n"


def test_the_log_gives_back_a_series(tmp_path: Path) -> None:
    log = train(tmp_path, [], 0, 3)
    with log.metrics_path.open("a") as file:
        file.write('{"step": 4, "lo')
    assert log.series("loss") == [1, 1 / 2, 1 / 3]
    assert log.series("accuracy") == []
