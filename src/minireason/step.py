"""What a step is: a name, what it reads, what it depends on, and the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from minireason.progress import Progress
from minireason.recipe import Recipe
from minireason.world import ALONE, World

Counts = Mapping[str, int | float]
"""What a step did, by name; all are whole numbers but costs."""


@dataclass(frozen=True)
class StepContext:
    """What a step is given: the recipe, its own folder, the folders it reads, by role, and the
    processes it runs in."""

    recipe: Recipe
    folder: Path
    inputs: Mapping[str, Path]
    progress: Progress
    world: World = ALONE


@dataclass(frozen=True)
class Step:
    """One entry of the pipeline.

    `reads` maps a role (`questions`, `model`) to the earlier step that fills it, `keys` are the
    recipe sections (`sft`) and single keys (`run.seed`) that change the result, and `sources`
    gives what does outside the run folder: files, and hub ids by name. A step that `always` runs
    takes what inputs there are and is never skipped. Where there are several processes, one that
    is `shared` is done by all of them, another by the main one while the others wait.
    """

    name: str
    work: Callable[[StepContext], Counts]
    reads: Mapping[str, str]
    keys: tuple[str, ...]
    sources: Callable[[Recipe], Mapping[str, Path | str]] = lambda recipe: {}
    always: bool = False
    shared: bool = False
