import dataclasses
import json
from pathlib import Path

import pytest

from minireason.evaluate.compare import compare
from minireason.records import LEVELS
from minireason.report.data_flow import flow_lines
from minireason.report.overview import breakdowns, headlines, missing_rungs
from minireason.report.responses import chosen_questions, shorten
from minireason.report.run_data import RunData, load_run
from minireason.report.training import stage_views


@pytest.fixture(scope="module")
def run(full_run: Path) -> RunData:
    return load_run(full_run)


def test_the_headline_gain_is_the_paired_difference_of_first_and_last(run: RunData) -> None:
    first, last = run.rungs["base"], run.rungs["rlvr"]
    change = compare(first.samples["harder"], last.samples["harder"])
    headline = next(h for h in headlines(run) if h.benchmark == "harder")
    assert headline.gain == f"{100 * change.difference:+.1f}"
    assert headline.is_beyond == (change.ci_low > 0)


def test_a_rung_asked_other_questions_gives_the_reason_for_no_interval(run: RunData) -> None:
    samples = run.rungs["rlvr"].samples["harder"]
    kept, removed = samples[:-2], samples[-2:]
    run.rungs["rlvr"].samples["harder"] = kept
    try:
        headline = next(h for h in headlines(run) if h.benchmark == "harder")
    finally:
        run.rungs["rlvr"].samples["harder"] = samples
    assert removed[0].question_id in headline.interval


def test_breakdowns_have_a_cell_for_every_rung(run: RunData) -> None:
    tables = breakdowns(run)
    assert [(t["benchmark"], t["kind"]) for t in tables][:2] == [
        ("held-out", "level"),
        ("held-out", "domain"),
    ]
    assert all(len(rates) == 5 for table in tables for _, rates in table["lines"])


def test_questions_mix_levels_and_those_that_differ_come_first(run: RunData) -> None:
    views = chosen_questions(run, 8)
    assert len(views) == 8
    assert {view.question.level for view in views} == set(LEVELS)
    differs = [view.differs for view in views]
    assert differs == sorted(differs, reverse=True)
    for view in views:
        assert [rung for rung, _ in view.answers] == ["base", "midtrain", "sft", "dpo", "rlvr"]
        assert {s.question_id for _, s in view.answers if s} == {view.question.question_id}


def test_a_long_response_says_how_much_is_left_out() -> None:
    assert shorten("short") == "short"
    text = shorten("a" * 4000 + "b" * 1234 + "c" * 2000)
    assert "[… 1,234 characters left out …]" in text
    assert "b" not in text.replace("characters", "")


def test_the_flow_sorts_reasons_by_count_and_shows_the_share_kept(run: RunData) -> None:
    lines = {line.step: line for line in flow_lines(run)}
    assert lines["curate"].dropped == (("near copy", "4,100"), ("repetitive", "2,300"))
    assert lines["curate"].kept == pytest.approx(100 * 24800 / 31200)
    assert lines["rollout"].kept is None
    assert ("unknown", "900") in lines["verify"].other


def test_every_set_of_a_step_has_a_line_with_its_tokens(tmp_path: Path) -> None:
    (tmp_path / "curate").mkdir()
    rows = {"in": 9, "out": 7, "tokens in": 900, "tokens out": 650, "sft in": 7, "sft out": 2}
    rows["sft dropped: over the size"] = 5
    (tmp_path / "curate" / "manifest.json").write_text(json.dumps({"rows": rows}))
    lines = {line.step: line for line in flow_lines(load_run(tmp_path))}
    assert (lines["curate"].tokens_in, lines["curate"].tokens_out) == ("900", "650")
    assert (lines["curate: sft"].rows_out, lines["curate: sft"].tokens_out) == ("2", "")
    assert lines["curate: sft"].dropped == (("over the size", "5"),)


def test_a_repeated_step_counts_once_as_logged_last(tmp_path: Path) -> None:
    (tmp_path / "sft").mkdir()
    rows = [{"step": 1, "loss": 3.0}, {"step": 2, "loss": 9.0}, {"step": 2, "loss": 2.0}]
    (tmp_path / "sft" / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert load_run(tmp_path).stages["sft"].metrics["loss"] == [(1, 3.0), (2, 2.0)]


def test_values_that_are_not_finite_are_counted_beside_the_chart(tmp_path: Path) -> None:
    (tmp_path / "sft").mkdir()
    (tmp_path / "sft" / "metrics.jsonl").write_text('{"step": 1, "loss": NaN, "num_tokens": 5}')
    (tmp_path / "sft" / "timing.jsonl").write_text(
        "\n".join(json.dumps({"step": s, "elapsed_s": 50.0}) for s in (1, 2))
    )
    sft = stage_views(load_run(tmp_path))[1]
    assert sft.panels[""][0].warning == "1 values are not finite and not drawn"
    assert sft.facts == "1 logged steps · 5 tokens · 1 min 40 s"


def test_speed_share_of_the_peak_and_memory_are_facts_where_they_were_logged(
    tmp_path: Path,
) -> None:
    (tmp_path / "sft").mkdir()
    (tmp_path / "sft" / "metrics.jsonl").write_text('{"step": 1, "num_tokens": 5}')
    timing = [{"step": s, "mfu": s / 10, "peak_memory_gib": 7.0 + s} for s in (1, 2, 4)]
    timing[0]["sample_tokens_per_s"] = 900
    (tmp_path / "sft" / "timing.jsonl").write_text("\n".join(map(json.dumps, timing)))
    facts = stage_views(load_run(tmp_path))[1].facts
    assert (
        facts == "1 logged steps · 5 tokens · 900 sampled tokens/s · 20.0 % MFU · 11.0 GiB at most"
    )


def test_a_stage_without_any_known_metric_has_logged_none(tmp_path: Path) -> None:
    (tmp_path / "dpo").mkdir()
    (tmp_path / "dpo" / "metrics.jsonl").write_text("")
    dpo = stage_views(load_run(tmp_path))[2]
    assert (dpo.panels, dpo.facts) == ({}, "0 logged steps")


def rlvr_panels(run_dir: Path, metrics: list[dict], timing: list[dict]) -> dict:
    """The titles and notes of the stage's panels, by heading."""
    (run_dir / "rlvr").mkdir()
    for name, rows in (("metrics", metrics), ("timing", timing)):
        lines = [json.dumps({"step": step, **row}) for step, row in enumerate(rows, start=1)]
        (run_dir / "rlvr" / f"{name}.jsonl").write_text("\n".join(lines))
    panels = stage_views(load_run(run_dir))[-1].panels
    return {heading: [(p.title, p.note) for p in found] for heading, found in panels.items()}


def test_reinforcement_learning_shows_the_metrics_that_were_logged_and_no_others(
    tmp_path: Path,
) -> None:
    row = {"kl": 0.5, "ratio_max": 2.0, "correct_tokens": 5, "incorrect_tokens": 9, "unheard": 1}
    assert rlvr_panels(tmp_path, [row, row], []) == {
        "Length": [("Response tokens by verdict", "")],
        "Policy": [("KL to the reference", "0.5 → 0.5"), ("Probability ratio", "2 → 2")],
    }


def test_every_part_of_the_reward_has_its_panel(tmp_path: Path) -> None:
    rows = [{"reward_mean": 0, "reward_is_short": 0, "reward_correct": 0}]
    titles = [title for title, _ in rlvr_panels(tmp_path, rows, [])["Reward"]]
    assert titles == ["Mean reward", "Reward: is short", "Reward: correct"]


def test_phases_come_by_their_share_of_the_time_of_all_steps(tmp_path: Path) -> None:
    first = {"elapsed_s": 4.0, "optimizer_s": 1.0, "forward_backward_s": 0.5, "mfu": 0.3}
    second = {"elapsed_s": 6.0, "optimizer_s": 0.0, "forward_backward_s": 5.5, "tokens_per_s": 7}
    assert rlvr_panels(tmp_path, [], [first, second])["Time"] == [
        ("Trained tokens a second", "7 → 7"),
        ("Seconds a step", "4 → 6"),
        ("Seconds: forward backward", "60 % of the time"),
        ("Seconds: optimizer", "10 % of the time"),
    ]


def test_correct_and_incorrect_lengths_share_a_chart(run: RunData) -> None:
    panels = stage_views(run)[-1].panels["Length"]
    chart = next(p.chart for p in panels if p.title == "Response tokens by verdict")
    assert ">correct</text>" in chart and ">incorrect</text>" in chart


def test_a_pretrained_rung_takes_the_place_of_the_base(run: RunData) -> None:
    rungs = {"pretrain": run.rungs["base"], "sft": run.rungs["sft"]}
    pretrained = dataclasses.replace(run, rungs=rungs)
    assert missing_rungs(pretrained) == ["Mid-train", "DPO", "RLVR"]
    assert missing_rungs(dataclasses.replace(run, rungs={})) == [
        "Base",
        *["Mid-train", "SFT", "DPO", "RLVR"],
    ]


def test_rows_dropped_by_a_training_stage_are_in_the_flow(tmp_path: Path) -> None:
    assert "sft" not in [line.step for line in flow_lines(load_run(tmp_path))]
    (tmp_path / "sft").mkdir()
    rows = {"in": 9, "out": 7, "dropped: overlong": 2}
    (tmp_path / "sft" / "manifest.json").write_text(json.dumps({"rows": rows}))
    lines = flow_lines(load_run(tmp_path))
    assert [line.step for line in lines][3:6] == ["curate", "sft", "pairs"]
    assert lines[4].dropped == (("overlong", "2"),)
