"""Which questions a benchmark asks: an embedded or a published one by name, or any source."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minireason.curate.annotate import annotate
from minireason.errors import DataError
from minireason.evaluate.published.benchmark import published, published_names
from minireason.evaluate.published.questions import published_questions
from minireason.problems.benchmarks import BENCHMARKS, load_benchmark
from minireason.problems.sources import is_external, load_questions
from minireason.records import Question
from minireason.seeding import derive_seed

DATA_VARIABLE = "MINIREASON_DATA"
BARE = "{question}"


@dataclass(frozen=True, slots=True)
class Asked:
    """The questions that are asked of one benchmark, and how.

    `prompt` has `{question}` for the question's text; of a benchmark that `is_withheld` neither
    questions nor responses are written.
    """

    label: str
    questions: Sequence[Question]
    num_all: int
    prompt: str = BARE
    is_withheld: bool = False

    def text(self, question: Question) -> str:
        """The user's turn."""
        return self.prompt.replace("{question}", question.text)


def check_labels(benchmarks: Sequence[Asked], why: str) -> None:
    """Raise DataError where two have one label; `why` says what that spoils and what to do."""
    labels = [one.label for one in benchmarks]
    if twice := [label for label in labels if labels.count(label) > 1]:
        raise DataError(f"two benchmarks are called {twice[0]!r}, and {why}")


def benchmark_questions(name: str, limit: int = 0, seed: int = 0) -> list[Question]:
    """The questions of a benchmark; `limit` takes that many by seeded shuffle, 0 all."""
    if name in BENCHMARKS:
        return _limited(load_benchmark(name), limit, seed)
    if is_external(name):
        return annotate(load_questions(name, limit=limit or None, split="test", seed=seed))
    raise DataError(
        f"benchmark {name!r} is unknown; the embedded ones are {', '.join(BENCHMARKS)}; or give a "
        ".jsonl or .parquet path, or hf:owner/name"
    )


def open_benchmark(
    name: str,
    limit: int = 0,
    seed: int = 0,
    *,
    folder: Path | None = None,
    allow_hub: bool = False,
) -> Asked:
    """A benchmark by name, published ones among them, or by path; `limit` as above.

    Raises DataError for an unknown name, MissingError where the questions cannot be had.
    """
    if name in published_names():
        known = published(name)
        found = published_questions(known, folder, allow_hub=allow_hub)
        asked = _limited(found, limit, seed)
        return Asked(name, asked, len(found), known.prompt, known.is_withheld)
    if not (name in BENCHMARKS or is_external(name)):
        allowed = ", ".join((*BENCHMARKS, *published_names()))
        raise DataError(f"benchmark {name!r} is unknown; there are {allowed}; or give a path")
    if name.startswith("hf:") and not allow_hub:
        raise DataError(f"{name} is on the hub; allow downloading with --hub, or give a path")
    found = benchmark_questions(name)
    return Asked(benchmark_label(name), _limited(found, limit, seed), len(found))


def benchmark_folder(data: Path | None) -> Path | None:
    """The folder of published benchmarks: the one given or MINIREASON_DATA, or its `benchmarks`."""
    given = data or (Path(os.environ[DATA_VARIABLE]) if os.environ.get(DATA_VARIABLE) else None)
    if given is None:
        return None
    inner = given.expanduser() / "benchmarks"
    return inner if inner.is_dir() else given.expanduser()


def benchmark_label(name: str) -> str:
    """A short name for tables and files: the last part of a path, without its ending."""
    return name.rstrip("/").rpartition("/")[2].split(".")[0].replace(":", "-")


def _limited(questions: list[Question], limit: int, seed: int) -> list[Question]:
    shuffled = sorted(questions, key=lambda q: derive_seed(seed, "limit", q.id))
    return shuffled[:limit] if limit else questions
