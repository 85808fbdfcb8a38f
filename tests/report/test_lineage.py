from __future__ import annotations

from pathlib import Path

from minireason.report.lineage import ancestry, finished_steps
from minireason.runfolder import write_json


def made(run_dir: Path, name: str, inputs: dict[str, str]) -> str:
    (run_dir / name).mkdir(parents=True)
    identity = f"hash of {name}"
    write_json(run_dir / name / "manifest.json", {"identity": identity, "inputs": inputs})
    return identity


def test_the_ancestry_of_a_step_is_in_the_order_things_were_made(tmp_path: Path) -> None:
    questions = made(tmp_path, "questions", {})
    curate = made(tmp_path, "curate", {"questions": questions})
    midtrain = made(tmp_path, "midtrain", {"data": curate, "base model": "elsewhere"})
    made(tmp_path, "evaluate-midtrain", {"model": midtrain})
    made(tmp_path, "sft", {"data": curate, "model": midtrain})
    steps = finished_steps(tmp_path)
    assert len(steps) == 5
    assert [m.name for m in ancestry(steps, "sft")] == ["questions", "curate", "midtrain", "sft"]
    assert [m.name for m in ancestry(steps, "curate")] == ["questions", "curate"]


def test_an_input_that_was_made_anew_is_no_ancestor(tmp_path: Path) -> None:
    made(tmp_path, "curate", {})
    made(tmp_path, "sft", {"data": "an earlier hash of curate"})
    assert [m.name for m in ancestry(finished_steps(tmp_path), "sft")] == ["sft"]
