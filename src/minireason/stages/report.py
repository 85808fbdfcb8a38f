"""Report: the run as an HTML page that needs nothing else, and its data as another."""

from __future__ import annotations

from minireason.report import write_data_page, write_report
from minireason.step import Counts, StepContext


def report(step: StepContext) -> Counts:
    """Write `report.html` and `data.html` from what lies in the run folder."""
    write_report(
        step.folder.parent,
        step.folder / "report.html",
        num_examples=step.recipe.report.num_examples,
    )
    data_page = write_data_page(step.folder.parent, step.folder / "data.html")
    return {"out": 2 if data_page else 1}
