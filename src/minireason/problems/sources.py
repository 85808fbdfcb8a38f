"""Where questions come from: a file, a folder of Parquet shards, or a data set on the Hub.

    data/train.jsonl   data/train.jsonl.gz   data/train.json   data/train.parquet   data/shards/
    hf:openai/gsm8k:main                     hf:owner/name[:config]

Only `hf:` uses the network; code that a data set brings along is never run. A row that cannot be
read is an error that names the file and the line. `rows` says how a row becomes a question.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from minireason.errors import DataError, MissingError
from minireason.problems.rows import QuestionColumns, question_from_row
from minireason.records import Question
from minireason.seeding import derive_seed
from minireason.tables import RawRow, read_rows


def load_questions(source: str, **settings: Any) -> list[Question]:
    """`iter_questions` as a list."""
    return list(iter_questions(source, **settings))


def iter_questions(
    source: str,
    *,
    limit: int | None = None,
    split: str = "train",
    columns: QuestionColumns | None = None,
    seed: int = 0,
    on_bad_row: Callable[[DataError], None] | None = None,
) -> Iterator[Question]:
    """The questions of a source in its order, or `limit` of them in an order drawn from `seed`.

    One question is in memory at a time, or `limit`, and of the others a number for their id. A
    smaller limit gives a prefix of what a larger one gives. `split` matters to `hf:` only. Raises
    DataError for the first bad row, or hands it to `on_bad_row` and leaves the row out;
    MissingError where there is nothing at `source`.
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit is {limit}; it must be 1 or more, or left out for all questions")
    questions = _usable(_rows(source, split), columns or QuestionColumns(), on_bad_row)
    if limit is not None:
        drawn = heapq.nsmallest(limit, questions, key=lambda q: derive_seed(seed, "limit", q.id))
        questions = iter(drawn)
    first = next(questions, None)
    if first is None:
        raise DataError(f"{source} holds no usable question; it must have one row a question")
    yield first
    yield from questions


def _rows(source: str, split: str) -> Iterator[RawRow]:
    if source.startswith("hf:"):
        return _hub_rows(source, split)
    try:
        return read_rows(Path(source).expanduser())
    except MissingError as error:
        raise MissingError(f"{error}, or hf:owner/name for a data set on the Hub") from error


def _usable(
    rows: Iterator[RawRow],
    columns: QuestionColumns,
    on_bad_row: Callable[[DataError], None] | None,
) -> Iterator[Question]:
    """The rows as questions; a bad row, or an id that appeared before, is an error or left out."""
    seen: set[int] = set()
    for row in rows:
        try:
            question = question_from_row(row, columns)
            key = derive_seed(question.id)
            if key in seen:
                raise DataError(f"{row.where}: id {question.id!r} appeared before; make ids unique")
        except DataError as error:
            if on_bad_row is None:
                raise
            on_bad_row(error)
        else:
            seen.add(key)
            yield question


def _hub_rows(source: str, split: str) -> Iterator[RawRow]:
    name, _, config = source.removeprefix("hf:").partition(":")
    if name.count("/") != 1 or not all(name.split("/")):
        raise DataError(f"{source!r} is no data set; write hf:owner/name or hf:owner/name:config")
    import httpx  # lazy: seconds to import, and needed by this source alone
    from datasets import load_dataset

    try:
        rows = load_dataset(name, config or None, split=split)
    except (OSError, ValueError, httpx.HTTPError) as error:
        raise MissingError(f"cannot load {source} split {split!r}: {error}") from error
    for number, row in enumerate(rows, start=1):
        yield RawRow(f"{source}:{split}:{number}", f"{name}/{split}/{number}", name, row)


def is_external(source: str) -> bool:
    """Whether a source is a path or a Hub id, rather than the name of something embedded."""
    return source.startswith("hf:") or "/" in source or "." in source
