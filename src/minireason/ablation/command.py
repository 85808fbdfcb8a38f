"""The command `minireason ablate`; its help waits for no imports."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from minireason.options import Overrides, RecipePath, preempt, resumable

if TYPE_CHECKING:
    from minireason.ablation.summary import Summary


def ablate(
    recipe: RecipePath,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of all its runs (runs/NAME-ablation).")
    ] = None,
    toggles: Annotated[
        str,
        typer.Option("--toggle", help="What to switch on and off (all there is)."),
    ] = "",
    against: Annotated[str, typer.Option(help="Other algorithms, as dapo,dr_grpo.")] = "",
    design: Annotated[
        Literal["full", "one-out"],
        typer.Option(help="All combinations; or all, each left out, and none."),
    ] = "full",
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each variant.")] = 3,
    tokens: Annotated[
        int, typer.Option(min=0, help="Tokens a run generates (0: what the first one does).")
    ] = 0,
    base: Annotated[
        Path | None,
        typer.Option("--from", help="Run folder with the model before RLVR, taken as it is."),
    ] = None,
    noise_steps: Annotated[
        int, typer.Option(min=2, help="Steps from which the gradient's noise is measured.")
    ] = 8,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at the same time.")] = 1,
    threads: Annotated[
        int, typer.Option(min=0, help="CPU threads of a run (0: the recipe's).")
    ] = 0,
    overrides: Overrides = None,
) -> None:
    """Measure what parts of RLVR are worth, at equal tokens."""
    from minireason.ablation.design import TOGGLES, Study
    from minireason.ablation.run import Ablation, Means
    from minireason.progress import Progress
    from minireason.recipe_file import load_recipe

    study = Study(_names(toggles) or tuple(TOGGLES), _names(against), design, seeds, noise_steps)
    means = Means(base, tokens, jobs, threads)
    folder = out or Path("runs") / f"{recipe.stem}-ablation"
    signal.signal(signal.SIGTERM, preempt)
    with resumable():
        ablation = Ablation(load_recipe(recipe, overrides or []), study, folder, means, Progress())
        summary = ablation.run()
    _show(summary, folder)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _show(summary: Summary, folder: Path) -> None:
    from rich.console import Console

    from minireason.ablation.page import tables, write_all

    page = write_all(summary, folder)
    console = Console()
    for table in tables(summary):
        console.print(table)
    console.print(f"report: {page}", soft_wrap=True, highlight=False)
    if summary.failed:
        text = f"{len(summary.failed)} runs failed; run the same command to try them again"
        print(text, file=sys.stderr)
        raise typer.Exit(1)
