import json
from dataclasses import asdict
from html.parser import HTMLParser

import pytest

from minireason.curate.decontaminate import Contaminated
from minireason.records import (
    Annotation,
    Example,
    Question,
    Rollout,
    write_records,
)
from minireason.report import write_data_page
from minireason.report.charts import histogram_chart
from minireason.report.data_page import ending
from minireason.report.data_summary import KEPT, Histogram, data_summary

EVIL = "<script>alert(1)</script>"
ROWS = {
    "in": 3,
    "out": 2,
    "dropped: incorrect": 1,
    "tokens in": 60,
    "tokens out": 50,
    "tokens dropped: incorrect": 10,
    "sft in": 2,
    "sft out": 1,
    "sft tokens in": 50,
    "sft tokens out": 20,
    "sft dropped: over the size": 1,
}


def annotation(question_id, index, num_tokens, dropped="", **more):
    values = {
        "source": "t",
        "domain": "algebra",
        "level": "high",
        "verdict": dropped or "correct",
        "pass_rate": 0.5,
        "num_characters": 5,
        "is_truncated": False,
        "repetition": 0.0,
        "repeated_ngrams": 0.0,
        "compression": 0.0,
        "loop": 0.0,
        "foreign_share": 0.0,
        "quality": 1.0,
    }
    return Annotation(question_id, index, num_tokens=num_tokens, dropped=dropped, **(values | more))


@pytest.fixture
def curated(tmp_path):
    """A run folder with three curated rollouts of two questions."""
    run = tmp_path / "run"
    for name in ("questions", "rollout", "curate/annotations", "curate/sft"):
        (run / name).mkdir(parents=True)
    (run / "curate" / "manifest.json").write_text(json.dumps({"rows": ROWS}))
    questions = [Question("a", f"What? {EVIL}", "1", "t"), Question("b", "Who?", "2", "t")]
    write_records(run / "questions" / "part-00000.parquet", questions, Question)
    overlap = Contaminated("x", "mine", "y", f"theirs {EVIL}", "overlaps", 0.85)
    (run / "questions" / "contaminated.jsonl").write_text(json.dumps(asdict(overlap)) + "\n")
    keys = [("a", 0), ("a", 1), ("b", 0)]
    rollouts = [Rollout(q, i, f"response {q}{i} {EVIL}", "m", "stop") for q, i in keys]
    write_records(run / "rollout" / "part-00000.parquet", rollouts, Rollout)
    annotations = [
        annotation("a", 0, 10, "incorrect"),
        annotation("a", 1, 20),
        annotation("b", 0, 30, domain="geometry", level=""),
    ]
    write_records(run / "curate/annotations/part-00000.parquet", annotations, Annotation)
    sft = [Example("a#1", [{"role": "user", "content": ""}], "algebra", "high")]
    write_records(run / "curate/sft/part-00000.parquet", sft, Example)
    return run


def test_groups_count_rollouts_and_what_each_stage_takes(curated):
    found = data_summary(curated)
    assert found.num_rollouts == 3
    assert found.domains == {"algebra": [2, 1, 1], "geometry": [1, 1, 0]}
    assert found.levels == {"high": [2, 1, 1], "not known": [1, 1, 0]}


def test_histograms_count_all_rows_and_kept_ones(curated):
    found = data_summary(curated)
    places = {edge: i for i, edge in enumerate(found.lengths.edges)}
    assert found.lengths.all[places[0]] == 1 and found.lengths.kept[places[0]] == 0
    assert found.lengths.all.sum() == 3 and found.lengths.kept.sum() == 2
    assert found.pass_rates.all.sum() == 2  # one entry a question


def test_a_value_on_an_edge_goes_up_and_the_last_bin_takes_its_end():
    found = Histogram([0.0, 0.5, 1.0])
    found.add([0.0, 0.49, 0.5, 1.0, 7.0], [True, False, True, True, False])
    assert found.all.tolist() == [2, 3] and found.kept.tolist() == [1, 2]


def test_every_reason_has_samples_with_their_texts(curated):
    samples = data_summary(curated).samples
    assert samples["incorrect"][0].response.startswith("response a0")
    assert {s.question_id for s in samples[KEPT]} == {"a", "b"}


def test_the_page_shows_the_account_and_escapes_every_text(curated):
    page = write_data_page(curated, curated / "report" / "data.html").read_text()
    HTMLParser().feed(page)
    assert EVIL not in page and page.count("&lt;script&gt;") >= 4
    assert "1 rollouts, 33.33 %, 10 tokens" in page and "overlap 0.85" in page
    assert "http" not in page.replace("http-equiv", "")


def test_without_curated_data_there_is_no_page(tmp_path):
    assert write_data_page(tmp_path, tmp_path / "data.html") is None
    assert list(tmp_path.iterdir()) == []


def test_a_long_response_is_shown_by_its_end():
    assert ending("short") == "short"
    assert ending("a" * 5000 + "end").startswith("[… 4,103 characters …]a")
    assert ending("a" * 5000 + "end").endswith("aend")


def test_bars_of_kept_rows_stand_in_front_of_all(curated):
    chart = histogram_chart([0, 1, 2, 3], [0, 4, 2], [0, 2, 0], "lengths", "rollouts")
    assert chart.count("<rect") == 3 and chart.count("chosen") == 1
    assert "1 to 2: 4 rollouts, 2 kept" in chart
    assert "no values" in histogram_chart([0, 1], [0], [0], "lengths", "rollouts")
