"""What the tables of benchmarks/annotations.py share: data, labels, shares, Markdown."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from minireason.problems.sources import load_questions
from minireason.records import Question

LABELS = Path(__file__).parent / "labels"


def load(data: Path, name: str) -> list[Question]:
    return load_questions(str(data / f"{name}.jsonl"), on_bad_row=lambda error: None)


def labels(name: str) -> list[list[str]]:
    with (LABELS / f"{name}.csv").open(encoding="utf-8") as lines:
        return list(csv.reader(lines))[1:]


def table(title: str, head: str, rows: Iterable[Sequence[object]]) -> None:
    print(f"\n{title}\n\n| {head.replace(',', ' |')} |\n|{'---|' * (head.count(',') + 1)}")
    for row in rows:
        cells = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row]
        print(f"| {' | '.join(cells)} |")


def share(hits: Iterable[bool]) -> float | str:
    values = list(hits)
    return sum(values) / len(values) if values else ""
