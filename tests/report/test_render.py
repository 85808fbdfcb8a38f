import dataclasses
import itertools
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from minireason.errors import DataError, MissingError
from minireason.records import EvalSample, read_records, write_records
from minireason.report import render_report, write_report

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>"
VOID = {"meta", "br", "img", "link", "input"}


class Page(HTMLParser):
    """Collects tags with attributes, and checks that tags nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(full_run: Path) -> str:
    return render_report(full_run)


def test_the_page_nests_properly_and_its_ids_are_unique(page: str) -> None:
    ids = [attrs["id"] for _, attrs in Page(page).tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_the_page_loads_nothing(page: str) -> None:
    for tag, attrs in Page(page).tags:
        assert tag not in {"link", "img", "iframe", "object", "embed"}
        assert "src" not in attrs
        assert (attrs.get("href") or "#").startswith("#") or attrs["href"] == "data.html"
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "fetch(" not in page


def test_every_rung_stage_step_and_benchmark_appears(page: str) -> None:
    for rung in ("Base", "Mid-train", "SFT", "DPO", "RLVR"):
        assert f'<th scope="row">{rung}</th>' in page
    for text in ("held-out", "harder", "number theory", "graduate", "near copy", "5e-7"):
        assert text in page
    for step in ("questions", "rollout", "verify", "curate", "pairs", "prompts"):
        assert f'<th scope="row">{step}</th>' in page
    assert "has not run" not in page
    assert "minireason run recipes/tiny.toml" in page


def test_model_text_is_escaped_everywhere(new_run) -> None:
    run_dir = new_run(("base", "sft"))
    for file in run_dir.glob("evaluate-*/samples/*.parquet"):
        samples = read_records(file, EvalSample)
        fields = dict.fromkeys(("response", "question", "answer", "extracted"), EVIL)
        evil = [dataclasses.replace(s, **fields) for s in samples]
        write_records(file, evil, EvalSample)
    page = render_report(run_dir)
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)" in page
    assert sum(tag == "script" for tag, _ in Page(page).tags) == 1


def test_names_from_the_run_folder_are_escaped(new_run) -> None:
    run_dir = new_run(("base",))
    for name in ("run.json", "evaluate-base/summary.json", "curate/manifest.json"):
        file = run_dir / name
        text = file.read_text().replace("tiny-demo", EVIL).replace("held-out", EVIL)
        file.write_text(text.replace("elementary", EVIL).replace("near copy", EVIL))
    page = render_report(run_dir)
    assert EVIL not in page
    assert all("onerror" not in attrs for _, attrs in Page(page).tags)


@pytest.mark.parametrize(
    "rungs",
    [r for n in (0, 1, 2, 4) for r in itertools.combinations(("base", "sft", "dpo", "rlvr"), n)],
)
def test_any_subset_of_rungs_renders_and_says_what_is_missing(new_run, rungs) -> None:
    page = render_report(new_run(rungs, num_steps=3))
    Page(page)
    assert "Mid-train has not run." in page
    for rung, label in (("sft", "SFT"), ("dpo", "DPO"), ("rlvr", "RLVR")):
        assert (f"{label} has not run." in page) == (rung not in rungs)


def test_an_empty_run_folder_renders_under_its_own_name(tmp_path: Path) -> None:
    page = render_report(tmp_path)
    Page(page)
    assert f"<h1>{tmp_path.name}</h1>" in page
    for text in ("No rung has been evaluated yet", "DPO has not run", "recipe was not recorded"):
        assert text in page


def test_without_samples_the_gain_is_shown_without_an_interval(new_run) -> None:
    run_dir = new_run(("base", "sft"))
    shutil.rmtree(run_dir / "evaluate-sft" / "samples")
    page = render_report(run_dir)
    assert "no interval: the samples were not kept" in page


@pytest.mark.parametrize(
    "name",
    [
        "run.json",
        "evaluate-sft/summary.json",
        "evaluate-sft/samples/harder.parquet",
        "sft/metrics.jsonl",
        "sft/timing.jsonl",
        "curate/manifest.json",
    ],
)
@pytest.mark.parametrize("content", [b"{broken", b"\xff\xfe\x00", b"[1]"])
def test_an_unreadable_file_is_an_error_that_names_it(new_run, name: str, content: bytes) -> None:
    run_dir = new_run(("base", "sft"), num_steps=3)
    (run_dir / name).write_bytes(content)
    with pytest.raises(DataError, match=re.escape(str(run_dir / name))):
        render_report(run_dir)


def test_a_summary_without_a_needed_field_names_the_field(new_run) -> None:
    run_dir = new_run(("base",))
    file = run_dir / "evaluate-base" / "summary.json"
    file.write_text(file.read_text().replace('"num_samples"', '"num_sample"'))
    with pytest.raises(DataError, match=r"summary\.json: benchmarks\.held-out\.num_samples"):
        render_report(run_dir)


def test_a_folder_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="is not a run folder"):
        render_report(tmp_path / "nowhere")


def test_writing_is_atomic_and_returns_the_path(full_run: Path, tmp_path: Path) -> None:
    out = write_report(full_run, tmp_path / "pages" / "report.html")
    assert out.read_text(encoding="utf-8") == render_report(full_run)
    assert [file.name for file in out.parent.iterdir()] == ["report.html"]
