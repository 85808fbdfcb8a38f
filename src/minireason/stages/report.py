"""Report: the run as one HTML page that needs nothing else."""

from __future__ import annotations

from minireason.report import write_report
from minireason.step import Counts, StepContext


def report(step: StepContext) -> Counts:
    """Write `report.html` from what lies in the run folder."""
    write_report(
        step.folder.parent,
        step.folder / "report.html",
        num_examples=step.recipe.report.num_examples,
    )
    return {"out": 1}
