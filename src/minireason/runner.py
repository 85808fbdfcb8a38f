"""Running steps in a run folder: in order, skipping the finished, going on with the interrupted."""

from __future__ import annotations

import contextlib
import difflib
import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from minireason.account import account_lines
from minireason.errors import MissingError, RecipeError, RunFolderError
from minireason.pipeline import build_steps, groups
from minireason.progress import Progress
from minireason.recipe import Recipe
from minireason.runfolder import StepFolder, file_hash, lock, versions, write_json
from minireason.step import Counts, Step, StepContext
from minireason.train.tracking import require_trackers
from minireason.world import ALONE, World


@dataclass
class Runner:
    """A recipe and the run folder it is carried out in."""

    recipe: Recipe
    run_dir: Path
    progress: Progress
    world: World = ALONE
    _hashes: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.steps = build_steps(self.recipe)

    def choose(
        self, first: str | None = None, last: str | None = None, only: str | None = None
    ) -> list[Step]:
        """The steps from `first` to `last`, or those of the group `only`.

        Of the evaluations as a group, those whose model there is.
        """
        names = [step.name for step in self.steps]
        if only and (first or last):
            raise RecipeError("--only runs its step alone; leave out --from and --until")
        if only:
            wanted = self._members(only)
        else:
            start = names.index(self._members(first)[0]) if first else 0
            stop = names.index(self._members(last)[-1]) if last else len(names) - 1
            if start > stop:
                raise RecipeError(f"--from {first} comes after --until {last}; nothing would run")
            wanted = names[start : stop + 1]
        chosen = [step for step in self.steps if step.name in wanted]
        if only == "evaluate":
            return [step for step in chosen if self._has_model(step)]
        return chosen

    def run(self, chosen: Sequence[Step]) -> None:
        """Run the steps in order; Ctrl-C or a kill loses no finished work."""
        require_trackers(self.recipe.run.trackers)  # now, not after hours
        self._require_rewards()
        with contextlib.ExitStack() as stack:
            self.world.of_main(lambda: stack.enter_context(lock(self.run_dir)))
            self.world.of_main(self._write_run_json)
            for step in chosen:
                self._run_step(step)

    def state(self, step: Step) -> str:
        """`done`, `interrupted` or `to do`, after checking that recipe and inputs are the same."""
        folder = self._folder(step)
        if not step.always and all(self._path(s).exists() for s in step.reads.values()):
            folder.check()
        if folder.is_finished:
            return "done"
        return "interrupted" if folder.is_started else "to do"

    def _require_rewards(self) -> None:
        """Load the user's own rewards: an error in them must not come after hours."""
        own = [name for name in self.recipe.rlvr.rewards if ":" in name]
        if own and "rlvr" in self.recipe.run.stages:
            from minireason.rl.rewards.custom import load_reward

            for name in own:
                load_reward(name)

    def _run_step(self, step: Step) -> None:
        started = time.perf_counter()
        folder = self.world.of_main(lambda: self._begin(step))
        if folder is None:
            return
        work = partial(step.work, self._context(step))
        try:
            counts = work() if step.shared else self.world.of_main(work)
        except PermissionError as error:
            raise _unwritable(error) from error
        self.world.of_main(lambda: self._end(step, folder, counts, started))

    def _begin(self, step: Step) -> StepFolder | None:
        """The step's folder, checked and started; None where the step is done already."""
        folder = self._folder(step)
        if not step.always:
            self._require_inputs(step)
            folder.check()
        if folder.is_finished and not step.always:
            self.progress.say(f"[dim]✓ {step.name} is done already[/dim]")
            return None
        verb = "go on with" if folder.is_started else "start"
        self.progress.say(f"[bold]→ {verb} {step.name}[/bold]")
        try:
            folder.start()
        except PermissionError as error:
            raise _unwritable(error) from error
        return folder

    def _end(self, step: Step, folder: StepFolder, counts: Counts, started: float) -> None:
        seconds = time.perf_counter() - started
        folder.finish(counts, self.recipe.run.seed, seconds)
        first, *others = account_lines(counts)
        self.progress.say(f"[green]✓ {step.name}[/green] in {seconds:.1f} s: {first}")
        for line in others:
            self.progress.say(line)

    def _context(self, step: Step) -> StepContext:
        inputs = {role: self._path(name) for role, name in step.reads.items()}
        return StepContext(self.recipe, self._path(step.name), inputs, self.progress, self.world)

    def _path(self, name: str) -> Path:
        return self.run_dir / name

    def _folder(self, step: Step) -> StepFolder:
        identities = {} if step.always else self._identities(step)
        return StepFolder(
            step.name, self._path(step.name), select(self.recipe, step.keys), identities
        )

    def _identities(self, step: Step) -> dict[str, str]:
        """Hashes of what the step reads; of an unfinished step, that it is unfinished."""
        found = {}
        for role, name in step.reads.items():
            folder = StepFolder(name, self._path(name), {}, {})
            found[role] = folder.identity() if folder.is_finished else "not finished"
        for name, source in step.sources(self.recipe).items():
            found[name] = self._hash(source) if isinstance(source, Path) else source
        return found

    def _hash(self, path: Path) -> str:
        if not path.exists():
            raise MissingError(f"{path} does not exist; it is named in the recipe")
        if path not in self._hashes:
            self._hashes[path] = file_hash(path)
        return self._hashes[path]

    def _has_model(self, step: Step) -> bool:
        name = step.reads.get("model")
        return name is None or StepFolder(name, self._path(name), {}, {}).is_finished

    def _require_inputs(self, step: Step) -> None:
        for name in step.reads.values():
            if not StepFolder(name, self._path(name), {}, {}).is_finished:
                raise MissingError(
                    f"step {step.name} reads {name}, which is not finished in {self.run_dir}; "
                    f"run it first (minireason run ... --until {name})"
                )

    def _members(self, name: str) -> list[str]:
        known = groups(self.steps)
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise RecipeError(
                f"there is no step {name!r}; the nearest is {near[0]!r}, all are {', '.join(known)}"
            )
        return known[name]

    def _write_run_json(self) -> None:
        write_json(
            self.run_dir / "run.json",
            {
                "name": self.recipe.run.name,
                "recipe": to_toml(self.recipe.model_dump()),
                "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "versions": versions(),
                "command": shlex.join(["minireason", *sys.argv[1:]]),
            },
        )


def _unwritable(error: PermissionError) -> RunFolderError:
    return RunFolderError(
        f"cannot write to {error.filename}: {error.strerror}; choose another --out"
    )


def select(recipe: Recipe, keys: Sequence[str]) -> dict[str, Any]:
    """The sections (`sft`) and single keys (`run.seed`) of a recipe, as nested dicts."""
    everything = recipe.model_dump()
    chosen: dict[str, dict[str, Any]] = {}
    for key in keys:
        section, _, name = key.partition(".")
        values = {name: everything[section][name]} if name else everything[section]
        chosen.setdefault(section, {}).update(values)
    return chosen


def to_toml(data: Mapping[str, Mapping[str, Any]]) -> str:
    """A recipe's dicts as TOML: what the run used, in a form that can be run again."""
    blocks = []
    for section, values in data.items():
        lines = [f"{key} = {_toml_value(value)}" for key, value in values.items()]
        blocks.append("\n".join([f"[{section}]", *lines]))
    return "\n\n".join(blocks) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(k)} = {_toml_value(v)}" for k, v in value.items()) + "}"
    return repr(value)


def _toml_key(key: str) -> str:
    is_bare = key.isascii() and key.isidentifier()
    return key if is_bare else json.dumps(key, ensure_ascii=False)
