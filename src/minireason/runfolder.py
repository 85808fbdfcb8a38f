"""The run folder: one folder a step, its manifest written last and atomically.

A step folder is in one of three states: absent, started (`started.json`), finished
(`manifest.json`). Both files hold the config and the inputs the step depends on, so that a step is
resumed or skipped only under the very same ones, and anything else is an error naming the change.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minireason.atomic import whole_file
from minireason.errors import MissingError, RunFolderError

MANIFEST = "manifest.json"
STARTED = "started.json"
# Files, and folders with all that is in them, that may differ where results are equal.
ASIDE = frozenset({"timing.jsonl", "usage.jsonl", "README.md", "tracker_id"})
ASIDE |= {"tensorboard", "trackio", "wandb"}
LEFT_OVER = frozenset({"checkpoints", "tokens", "buffer"})  # of no use once a step is finished
PACKAGES = ("minireason", "torch", "transformers", "datasets", "math-verify", "pyarrow")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically: the file is the old one or the new one, never a part."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write text atomically and durably."""
    with whole_file(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def read_json(path: Path) -> Any:
    """Read a JSON file of a run folder; a broken one is an error naming it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise RunFolderError(
            f"{path} is not readable JSON ({error}); restore it or delete its folder"
        ) from error


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, or of the names and bytes of a folder's files but those aside."""
    digest = hashlib.sha256()
    for file in [path] if path.is_file() else _files(path):
        if path.is_dir():
            digest.update(str(file.relative_to(path)).encode())
        with file.open("rb") as handle:
            while block := handle.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    """The files that a folder is judged by, in order of their names."""
    return sorted(
        p
        for p in folder.rglob("*")
        if p.is_file() and (ASIDE | LEFT_OVER).isdisjoint(p.relative_to(folder).parts)
    )


def versions(*also: str) -> dict[str, str]:
    """Versions of Python and of the packages that can change a result, and of others asked for."""
    found = {"python": platform.python_version()}
    for name in (*PACKAGES, *also):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


@dataclass(frozen=True)
class StepFolder:
    """The folder of one step and the config and inputs it must be made with."""

    name: str
    path: Path
    config: Mapping[str, Any]
    inputs: Mapping[str, str]

    @property
    def is_finished(self) -> bool:
        return (self.path / MANIFEST).is_file()

    @property
    def is_started(self) -> bool:
        return (self.path / STARTED).is_file()

    def identity(self) -> str:
        """Hash of what the finished step produced: what later steps record as their input."""
        if not self.is_finished:
            raise MissingError(f"step {self.name} is not finished: {self.path} has no {MANIFEST}")
        return str(_read_marker(self.path / MANIFEST, "identity")["identity"])

    def check(self) -> None:
        """Raise if the folder was made with another config or from other inputs."""
        marker = self.path / (MANIFEST if self.is_finished else STARTED)
        if not marker.is_file():
            return
        made = _read_marker(marker, "config", "inputs")
        changes = [
            *_differences("config", made["config"], _plain(self.config)),
            *_differences("input", made["inputs"], _plain(self.inputs)),
        ]
        if changes:
            raise RunFolderError(
                f"step {self.name} in {self.path} was made with another recipe or input: "
                f"{'; '.join(changes[:5])}{' ...' if len(changes) > 5 else ''}. "
                f"Use another --out, put the old value back, or delete {self.path} to redo it"
            )

    def start(self) -> None:
        """Make the folder, record what it is being made with, clear what a kill left half-written.

        What is being written or deleted is named `*.partial` until it is whole or gone.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        for partial in sorted(self.path.rglob("*.partial"), reverse=True):
            remove(partial)
        if not self.is_started:
            write_json(self.path / STARTED, self._record())

    def finish(self, rows: Mapping[str, int | float], seed: int, seconds: float) -> None:
        """Write the manifest: the step is finished and will not be done again.

        Only then goes what it would have gone on from.
        """
        files = [p for p in _files(self.path) if p.name not in (STARTED, MANIFEST)]
        hashes = {str(p.relative_to(self.path)): file_hash(p) for p in files}
        identity = hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
        write_json(
            self.path / MANIFEST,
            {
                **self._record(),
                "rows": dict(rows),
                "seed": seed,
                "seconds": round(seconds, 3),
                "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "versions": versions(),
                "files": hashes,
                "identity": identity,
            },
        )
        (self.path / STARTED).unlink(missing_ok=True)
        for name in LEFT_OVER:
            remove(self.path / name)

    def _record(self) -> dict[str, Any]:
        return {"step": self.name, "config": _plain(self.config), "inputs": _plain(self.inputs)}


def _read_marker(path: Path, *names: str) -> dict[str, Any]:
    """A manifest or `started.json`, with the entries that are asked for."""
    found = read_json(path)
    missing = [name for name in names if not isinstance(found, dict) or name not in found]
    if missing:
        raise RunFolderError(
            f"{path} lacks {missing[0]!r}: it is damaged or from another program; restore it or "
            f"delete its folder"
        )
    return found


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value))


def _differences(where: str, old: Any, new: Any) -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(old.keys() | new.keys())
        return [
            change
            for name in names
            for change in _differences(f"{where}.{name}", old.get(name), new.get(name))
        ]
    if old == new:
        return []
    return [f"{where.removeprefix('config.')} was {_short(old)}, is now {_short(new)}"]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


@contextlib.contextmanager
def lock(run_dir: Path, instead: str = "another --out") -> Iterator[None]:
    """Hold the run folder for one process; a second one is refused, not queued.

    Errors name what may be used `instead`.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        handle = (run_dir / ".lock").open("a+")
    except OSError as error:
        raise RunFolderError(
            f"cannot write to {run_dir}: {error.strerror}; use {instead}"
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunFolderError(
                f"{run_dir} is in use by another minireason process; wait for it or use {instead}"
            ) from None
        yield


def remove(path: Path) -> None:
    """Delete a file or a folder that may not be there; a kill leaves no half of a folder."""
    if path.is_dir():
        doomed = path if path.suffix == ".partial" else path.with_name(path.name + ".partial")
        path.rename(doomed)
        shutil.rmtree(doomed)
    else:
        path.unlink(missing_ok=True)
