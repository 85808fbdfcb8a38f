import json

import pytest

from minireason.errors import DataError
from minireason.evaluate.summary import summarize


def test_a_summary_holds_hand_computed_numbers(make_samples) -> None:
    samples = make_samples(["11", "10", "0?"], domain="algebra", level="high")
    summary = summarize({"held-out": samples}, "sft", "tiny", sampling={"temperature": 0.6})
    result = summary["benchmarks"]["held-out"]
    assert summary["sampling"] == {"temperature": 0.6}
    assert (result["num_questions"], result["num_samples"]) == (3, 6)
    assert result["pass_at_1"] == pytest.approx(0.5)
    assert result["unknown_rate"] == pytest.approx(1 / 6)
    assert result["truncation_rate"] == 0.0
    assert result["by_domain"]["algebra"]["pass_at_1"] == pytest.approx(0.5)
    assert result["lengths"]["correct_mean"] == 10.0
    assert sum(result["lengths"]["histogram"]["counts"]) == 6
    assert result["against_previous"] is None


def test_a_summary_survives_json(make_samples) -> None:
    summary = summarize({"held-out": make_samples(["0", "0"])}, "base", "tiny")
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["benchmarks"]["held-out"]["lengths"]["correct_mean"] is None


def test_the_previous_rung_gives_a_paired_change(make_samples) -> None:
    previous = {"rung": "base", "samples": {"held-out": make_samples(["0", "1", "0"])}}
    samples = {"held-out": make_samples(["1", "1", "0"]), "new": make_samples(["1"], "new")}
    result = summarize(samples, "midtrain", "tiny", previous)["benchmarks"]
    assert result["held-out"]["against_previous"]["rung"] == "base"
    assert result["held-out"]["against_previous"]["difference"] == pytest.approx(1 / 3)
    assert result["new"]["against_previous"] is None


def test_truncated_responses_are_counted(make_samples) -> None:
    cut = make_samples(["00"], finish_reason="length")
    assert summarize({"b": cut}, "base", "m")["benchmarks"]["b"]["truncation_rate"] == 1.0


def test_missing_questions_and_missing_benchmarks_are_errors(make_samples) -> None:
    with pytest.raises(DataError, match="'q001'"):
        summarize({"b": make_samples(["1"])}, "base", "m", expected_ids={"b": ["q000", "q001"]})
    with pytest.raises(DataError, match="'base' has no benchmark"):
        summarize({}, "base", "m")
