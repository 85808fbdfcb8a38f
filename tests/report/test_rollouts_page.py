import dataclasses
import html
import json
import math
from html.parser import HTMLParser
from pathlib import Path

import pytest

from minireason.records import PolicySample, read_records, write_records
from minireason.report import render_report, write_rollouts_page
from minireason.report.policy_samples import sampled_steps
from minireason.report.rollouts_page import FIELDS, page_data

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "</noscript><img src=x onerror=alert(2)>",
    "line\u2028separator\u2029and\u202eturned\x00\x1b[0m \U0001f600",
    "&lt;b&gt; &amp; \"quotes\" 'too' {{ jinja }} ${js} `tick`",
    "x" * 100_000,
)


class Page(HTMLParser):
    """The tags of a page, and the texts of its scripts by id."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: dict[str | None, str] = {}
        self.script: str | None = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)
        if tag == "script":
            self.script = dict(attrs).get("id")
        assert not {"src", "onerror", "style"} & dict(attrs).keys()

    def handle_data(self, data) -> None:
        if self.tags and self.tags[-1] == "script":
            self.scripts[self.script] = self.scripts.get(self.script, "") + data


def make_page(run_dir: Path) -> str:
    out = write_rollouts_page(run_dir, run_dir / "report" / "rollouts.html")
    assert out is not None
    return out.read_text(encoding="utf-8")


def data_of(page: str) -> list[dict]:
    """The samples that are in the page, with their questions and reward names."""
    data = json.loads(Page(page).scripts["data"])
    rows = [dict(zip(data["fields"], row, strict=True)) for row in data["samples"]]
    for row in rows:
        row["question"] = data["questions"][row["question"]]
        row["reward_names"] = data["reward_names"][row["reward_names"]]
    return rows


@pytest.fixture
def run_dir(tmp_path: Path, policy_samples) -> Path:
    policy_samples(tmp_path, range(10, 31, 10), 6, 4)
    return tmp_path


@pytest.fixture
def hostile(run_dir: Path) -> Path:
    """The run, but every text of some samples of the last step is hostile."""
    file = run_dir / "rlvr/samples/step-000030.parquet"
    samples = read_records(file, PolicySample)
    for i, text in enumerate(HOSTILE):
        names = ("response", "question", "answer", "extracted", "question_id", "verdict")
        fields = dict.fromkeys((*names, "finish_reason"), text)
        samples[i] = dataclasses.replace(samples[i], **fields, reward_names=[text, "format"])
    write_records(file, samples, PolicySample)
    return run_dir


def test_the_data_in_the_page_are_the_records(run_dir: Path) -> None:
    rows = data_of(make_page(run_dir))
    samples = read_records(run_dir / "rlvr/samples", PolicySample)
    assert len(rows) == len(samples) == 72
    for row, sample in zip(rows, samples, strict=True):
        assert row["question"] == {
            "id": sample.question_id,
            "text": sample.question,
            "answer": sample.answer,
        }
        assert (row["start"], row["left_out"], row["end"]) == (sample.response, 0, "")
        exact = ("step", "index", "verdict", "extracted", "finish_reason", "num_tokens", "lag")
        assert all(row[name] == getattr(sample, name) for name in exact)
        assert row["reward_names"] == sample.reward_names
        assert row["reward_parts"] == pytest.approx(sample.reward_parts)
        for name in ("reward", "advantage", "mean_logprob", "temperature"):
            value = getattr(sample, name)
            assert row[name] == (None if value is None else pytest.approx(value, abs=1e-5))


def test_hostile_texts_come_back_as_they_were_and_stay_in_the_data(hostile: Path) -> None:
    page = make_page(hostile)
    rows = [row for row in data_of(page) if row["step"] == 30]
    for row, text in zip(rows, HOSTILE, strict=False):
        cut = len(text) > 12_000
        assert row["start"] == (text[:8_000] if cut else text)
        assert row["end"] == (text[-4_000:] if cut else "")
        assert row["left_out"] == (88_000 if cut else 0)
        assert row["question"]["text"].removesuffix("…") == text[:2000]
    assert Page(page).tags.count("script") == 2
    assert "img" not in Page(page).tags
    assert Page(page).scripts["data"].isascii()
    assert page.count("</noscript>") == 1


def test_a_huge_response_does_not_make_a_huge_page(hostile: Path) -> None:
    assert len(make_page(hostile)) < 100_000


def test_numbers_that_are_not_finite_are_kept_as_texts(run_dir: Path) -> None:
    file = run_dir / "rlvr/samples/step-000030.parquet"
    samples = read_records(file, PolicySample)
    odd = {"reward": math.nan, "advantage": math.inf, "mean_logprob": -math.inf}
    samples[0] = dataclasses.replace(samples[0], **odd, reward_parts=[math.nan, 1.0])
    write_records(file, samples, PolicySample)
    row = next(row for row in data_of(make_page(run_dir)) if row["step"] == 30)
    assert (row["reward"], row["advantage"], row["mean_logprob"]) == ("nan", "inf", "-inf")
    assert row["reward_parts"] == ["nan", 1.0]


def test_without_scripts_the_newest_step_is_a_table(run_dir: Path) -> None:
    page = make_page(run_dir)
    table = page[page.index("<noscript>") : page.index("</noscript>")]
    assert "needs JavaScript" in table and "step-000030.parquet" in table
    newest = read_records(run_dir / "rlvr/samples/step-000030.parquet", PolicySample)
    assert table.count("<tr>") == 1 + len(newest)
    for sample in newest:
        assert html.escape(sample.response[-20:]) in table


def test_a_bounded_page_says_which_samples_are_left_out(run_dir: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        "minireason.report.render.sampled_steps", lambda run: sampled_steps(run, most_per_step=8)
    )
    page = make_page(run_dir)
    rows = data_of(page)
    assert len(rows) == 24
    assert page.count("8 of 24</td>") == 3
    for sample in read_records(run_dir / "rlvr/samples", PolicySample):
        shown = any(
            r["question"]["id"] == sample.question_id for r in rows if r["step"] == sample.step
        )
        assert shown or f"{sample.question_id} (4)" in page


def test_the_report_links_the_page_only_where_there_are_samples(run_dir: Path) -> None:
    assert 'href="rollouts.html"' in render_report(run_dir)
    for file in (run_dir / "rlvr" / "samples").iterdir():
        file.unlink()
    assert "rollouts.html" not in render_report(run_dir)
    assert write_rollouts_page(run_dir, run_dir / "rollouts.html") is None
    assert not (run_dir / "rollouts.html").exists()


def test_the_page_loads_nothing(run_dir: Path) -> None:
    page = make_page(run_dir)
    assert not {"link", "img", "iframe", "object", "embed"} & set(Page(page).tags)
    code = Page(page).scripts[None]
    for way in ("fetch(", "XMLHttpRequest", "import(", "innerHTML", "outerHTML", "eval("):
        assert way not in code
    assert "url(" not in page and "@import" not in page


def test_every_column_of_the_record_is_in_the_page(run_dir: Path) -> None:
    names = {field.name for field in dataclasses.fields(PolicySample)}
    written = {"question_id": "question", "answer": "question", "response": "start"}
    assert {written.get(name, name) for name in names} <= set(FIELDS)
    assert page_data(sampled_steps(run_dir))["fields"] == FIELDS
