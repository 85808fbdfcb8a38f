"""Report: the run, its data and its rollouts as HTML pages that need nothing else, model cards."""

from __future__ import annotations

from minireason.report import (
    write_data_page,
    write_model_cards,
    write_report,
    write_rollouts_page,
)
from minireason.step import Counts, StepContext


def report(step: StepContext) -> Counts:
    """Write `report.html`, `data.html` and `rollouts.html` from what lies in the run folder.

    Each trained model's folder gets its model card, `README.md`.
    """
    run_dir = step.folder.parent
    write_report(run_dir, step.folder / "report.html", num_examples=step.recipe.report.num_examples)
    others = [
        write_data_page(run_dir, step.folder / "data.html"),
        write_rollouts_page(run_dir, step.folder / "rollouts.html"),
    ]
    pages = 1 + sum(page is not None for page in others)
    return {"out": pages, "model cards": write_model_cards(run_dir)}
