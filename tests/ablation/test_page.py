"""The report of made-up runs: every number is where people look for it."""

import io
import json
import xml.etree.ElementTree as ET

import pytest
from rich.console import Console

from minireason.ablation.design import Study
from minireason.ablation.page import markdown, pictures, tables, write_all
from minireason.ablation.sheets import sheets
from minireason.ablation.summary import (
    Summary,
    comparisons_of,
    effects_of,
    rows_of,
    start_of,
)


@pytest.fixture
def summary(outcome, grid):
    study = Study(("rebalancing", "temperature_annealing"), against=("dapo",), num_seeds=2)
    outcomes = {
        variant: {
            seed: outcome(((1, 1), (seed, 0)), zero_signal=0.1 * place, reward=-0.25)
            for seed in range(2)
        }
        for place, variant in enumerate(study.variants("grpo"))
    }
    return Summary(
        name="a <b>",
        tokens=1000,
        study=study,
        before=start_of({"b": grid((1, 0), (0, 0))}),
        rows=rows_of(study, outcomes),
        effects=effects_of(study, outcomes),
        comparisons=comparisons_of(study, outcomes, "grpo"),
        failed={"dapo, seed 1": "killed by signal 9"},
    )


def test_the_sheets_hold_the_variants_the_differences_and_the_failures(summary):
    accuracy, training, changes, training_changes, failed = sheets(summary)
    assert [row[0] for row in accuracy.rows] == [
        "before RLVR",
        "grpo with all",
        "grpo with rebalancing",
        "grpo with temperature annealing",
        "grpo",
        "dapo",
    ]
    assert accuracy.rows[0][2].startswith("25.0 [") and accuracy.rows[1][2].startswith("62.5 [")
    assert training.rows[1][1] == "10.0 [10.0, 10.0]"
    assert training.rows[0][2:] == [
        "400 [400, 400]",
        "4 [4, 4]",
        "−0.250 [−0.250, −0.250]",
        "50 [50, 50]",
        "1,000",
        "10",
    ]
    assert [row[0] for row in changes.rows][:2] == ["rebalancing", "temperature annealing"]
    assert training_changes.rows[0][2].startswith("▼ −20.0 [")
    assert training_changes.rows[0][3] == "≈ ×1.00 [×1.00, ×1.00]"
    assert failed.rows == [["dapo, seed 1", "killed by signal 9"]]


def test_every_row_is_as_long_as_its_header(summary):
    assert all(len(row) == len(s.headers) for s in sheets(summary) for row in s.rows)


def test_the_terminal_shows_intervals_in_their_brackets(summary):
    console = Console(width=120, record=True, file=io.StringIO())
    for table in tables(summary):
        console.print(table)
    text = console.export_text()
    assert "[10.0, 10.0]" in text and "grpo with all against dapo" in text


def test_the_files_are_written_and_the_page_escapes_its_names(summary, tmp_path):
    page = write_all(summary, tmp_path)
    assert page == tmp_path / "ablation.html"
    text = page.read_text()
    assert "a &lt;b&gt;" in text and "<b>a" not in text
    assert "grpo without" not in text and "temperature annealing" in text
    known = json.loads((tmp_path / "ablation.json").read_text())
    assert known["rows"][0]["accuracy"]["b"]["value"] == 0.625
    assert (tmp_path / "ablation.md").read_text() == markdown(summary)


def test_the_pictures_are_well_formed_and_leave_out_what_is_not_known(summary):
    shown = pictures(summary)
    assert len(shown) == 6
    for _, _, chart in shown:
        ET.fromstring(str(chart))
    assert str(shown[0][2]).count("<circle") == 6
