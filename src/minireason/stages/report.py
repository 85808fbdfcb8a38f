"""Report: the run as an HTML page that needs nothing else, its data as another, a card a model."""

from __future__ import annotations

from minireason.report import write_data_page, write_model_cards, write_report
from minireason.step import Counts, StepContext


def report(step: StepContext) -> Counts:
    """Write `report.html` and `data.html` from what lies in the run folder.

    Each trained model's folder gets its model card, `README.md`.
    """
    run_dir = step.folder.parent
    write_report(run_dir, step.folder / "report.html", num_examples=step.recipe.report.num_examples)
    data_page = write_data_page(run_dir, step.folder / "data.html")
    return {"out": 2 if data_page else 1, "model cards": write_model_cards(run_dir)}
