"""One run of a variant: a run folder whose first steps are those of the base run."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from minireason.ablation.design import Variant
from minireason.errors import MinireasonError, RunFolderError
from minireason.launch import end_with_parent
from minireason.options import preempt
from minireason.progress import Progress
from minireason.recipe import Recipe
from minireason.recipe_file import load_recipe
from minireason.runfolder import StepFolder, remove, write_text
from minireason.runner import Runner, select, to_toml
from minireason.step import Counts, Step, StepContext

RECIPE, LOG = "recipe.toml", "log.txt"
PROMPTS = "prompts"
TRAINED = ("rlvr", "evaluate-rlvr")


@dataclass(frozen=True)
class Run:
    """A variant with one seed, and where it is carried out."""

    variant: Variant
    seed: int
    folder: Path
    recipe: Recipe
    noise_steps: int

    @property
    def name(self) -> str:
        return f"{self.variant.name}, seed {self.seed}"

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that make up the run, in order."""
        return (PROMPTS, *TRAINED, noise_name(self.noise_steps))

    @cached_property
    def runner(self) -> Runner:
        return open_runner(self.recipe, self.folder, self.noise_steps, Progress(is_quiet=True))

    @property
    def prompts_config(self) -> str:
        """Equal for runs whose prompts are the same."""
        return repr(select(self.recipe, self._step(PROMPTS).keys))

    def missing(self, names: Sequence[str]) -> list[str]:
        """The first of the steps that is to do, and those after it.

        Raises RunFolderError where one before it was made otherwise.
        """
        for place, name in enumerate(names):
            if self.runner.state(self._step(name)) != "done":
                return list(names[place:])
        return []

    def begin(self, base: Path) -> None:
        """Write the run's recipe, and link what it starts from."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / RECIPE, to_toml(self.recipe.model_dump()))
        for name in needed(self.runner.steps):
            self.link(name, base)

    def link(self, name: str, source: Path) -> None:
        """Take over a finished step of another run folder."""
        link_step(name, source / name, self.folder / name)

    def _step(self, name: str) -> Step:
        return next(step for step in self.runner.steps if step.name == name)


def open_runner(recipe: Recipe, folder: Path, noise_steps: int, progress: Progress) -> Runner:
    """The recipe's steps, and the measurement of the gradient's noise."""
    runner = Runner(recipe, folder, progress)
    rlvr = next(step for step in runner.steps if step.name == "rlvr")
    runner.steps.append(
        Step(
            noise_name(noise_steps),
            lambda step: _measure(step, noise_steps),
            rlvr.reads,
            rlvr.keys,
            rlvr.sources,
        )
    )
    return runner


def noise_name(num_steps: int) -> str:
    return f"gradient-noise-{num_steps}"


def needed(steps: Sequence[Step]) -> list[str]:
    """What a run's own steps read of the steps before them."""
    own = {PROMPTS, *TRAINED}
    read = {name for step in steps if step.name in own for name in step.reads.values()}
    return [step.name for step in steps if step.name in read - own]


def link_step(name: str, source: Path, target: Path) -> None:
    """Give a finished step's files a second name, or copy them to another file system.

    Raises RunFolderError where the target is of something else.
    """
    folder, there = (StepFolder(name, path, {}, {}) for path in (source, target))
    if there.is_finished:
        if there.identity() != folder.identity():
            raise RunFolderError(
                f"{target} is not the step that is in {source}; use another --out, or delete it"
            )
        return
    partial = target.with_name(target.name + ".partial")
    for left_over in (partial, target):
        remove(left_over)
    shutil.copytree(source, partial, copy_function=_link)
    partial.rename(target)


def work(folder: str, names: Sequence[str], noise_steps: int) -> None:
    """Carry out steps of a run in a process of its own, which says what it does in `log.txt`."""
    os.setpgid(0, 0)  # a terminal's Ctrl-C comes from the starter, once
    end_with_parent()
    signal.signal(signal.SIGTERM, preempt)
    run_dir = Path(folder)
    with (run_dir / LOG).open("a") as log:
        for number in (1, 2):
            os.dup2(log.fileno(), number)
    try:
        runner = open_runner(load_recipe(run_dir / RECIPE), run_dir, noise_steps, Progress())
        runner.run([step for step in runner.steps if step.name in names])
    except KeyboardInterrupt:
        sys.exit(130)
    except MinireasonError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def _measure(step: StepContext, num_steps: int) -> Counts:
    from minireason.stages.rlvr import gradient_noise

    return gradient_noise(step, num_steps)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
