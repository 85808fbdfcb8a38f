"""Which questions a benchmark asks: an embedded one by name, or any question source."""

from __future__ import annotations

from minireason.curate.annotate import annotate
from minireason.errors import DataError
from minireason.problems.benchmarks import BENCHMARKS, load_benchmark
from minireason.problems.sources import is_external, load_questions
from minireason.records import Question
from minireason.seeding import derive_seed


def benchmark_questions(name: str, limit: int = 0, seed: int = 0) -> list[Question]:
    """The questions of a benchmark; `limit` takes that many by seeded shuffle, 0 all."""
    if name in BENCHMARKS:
        questions = load_benchmark(name)
        shuffled = sorted(questions, key=lambda q: derive_seed(seed, "limit", q.id))
        return shuffled[:limit] if limit else questions
    if is_external(name):
        return annotate(load_questions(name, limit=limit or None, split="test", seed=seed))
    raise DataError(
        f"benchmark {name!r} is unknown; the embedded ones are {', '.join(BENCHMARKS)}; or give a "
        ".jsonl or .parquet path, or hf:owner/name"
    )


def benchmark_label(name: str) -> str:
    """A short name for tables and files: the last part of a path, without its ending."""
    return name.rstrip("/").rpartition("/")[2].split(".")[0].replace(":", "-")
