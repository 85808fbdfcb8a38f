"""Where questions come from: a file, a folder of Parquet shards, or a data set on the Hub.

    data/train.jsonl   data/train.jsonl.gz   data/train.json   data/train.parquet   data/shards/
    hf:openai/gsm8k:main                     hf:owner/name[:config]

Only `hf:` uses the network; code that a data set brings along is never run. A row that cannot be
read is an error that names the file and the line. `rows` says how a row becomes a question.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from minireason.errors import DataError, MissingError
from minireason.problems.rows import QuestionColumns, RawRow, question_from_row
from minireason.records import Question, parquet_files
from minireason.seeding import derive_seed

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".parquet")


def load_questions(
    source: str,
    *,
    limit: int | None = None,
    split: str = "train",
    columns: QuestionColumns | None = None,
    seed: int = 0,
    on_bad_row: Callable[[DataError], None] | None = None,
) -> list[Question]:
    """The questions of a source in its order, or `limit` of them in an order drawn from `seed`.

    A smaller limit gives a prefix of what a larger one gives. `split` matters to `hf:` only.
    Raises DataError for the first bad row, or hands it to `on_bad_row` and leaves the row out;
    MissingError where there is nothing at `source`.
    """
    if limit is not None and limit < 1:
        raise DataError(f"limit is {limit}; it must be 1 or more, or left out for all questions")
    if source.startswith("hf:"):
        rows = _hub_rows(source, split)
    else:
        rows = _local_rows(Path(source).expanduser())
    questions: dict[str, Question] = {}
    for row in rows:
        try:
            question = question_from_row(row, columns or QuestionColumns())
            if question.id in questions:
                raise DataError(f"{row.where}: id {question.id!r} appeared before; make ids unique")
        except DataError as error:
            if on_bad_row is None:
                raise
            on_bad_row(error)
        else:
            questions[question.id] = question
    if not questions:
        raise DataError(f"{source} holds no usable question; it must have one row a question")
    if limit is None:
        return list(questions.values())
    return sorted(questions.values(), key=lambda q: derive_seed(seed, "limit", q.id))[:limit]


def _local_rows(path: Path) -> Iterator[RawRow]:
    if not path.exists():
        raise MissingError(
            f"{path} does not exist; give a file ({', '.join(SUFFIXES)}), a folder of *.parquet "
            f"files, or hf:owner/name for a data set on the Hub"
        )
    if path.is_dir() or path.name.endswith(".parquet"):
        return _parquet_rows(path)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return _json_lines(path)
    if path.name.endswith(".json"):
        return _json_list(path)
    raise DataError(f"{path} is of no known kind; allowed: {', '.join(SUFFIXES)}")


def _json_lines(path: Path) -> Iterator[RawRow]:
    stem = path.name.removesuffix(".gz").removesuffix(".jsonl")
    open_file = gzip.open if path.name.endswith(".gz") else open
    number = 0
    try:
        with open_file(path, "rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield RawRow(f"{path.name}:{number}", f"{stem}/{number}", stem, line)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}:{number + 1}: cannot read on: {error}") from error


def _json_list(path: Path) -> Iterator[RawRow]:
    try:
        items: Any = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path.name}: not valid JSON: {error}") from error
    if not isinstance(items, list):
        raise DataError(
            f"{path.name} holds a JSON {type(items).__name__}; it must be a list with one object "
            f"a question (for one object a line, name it .jsonl)"
        )
    for number, item in enumerate(items, start=1):
        yield RawRow(f"{path.name} item {number}", f"{path.stem}/{number}", path.stem, item)


def _parquet_rows(path: Path) -> Iterator[RawRow]:
    for file in parquet_files(path):
        number = 0
        try:
            for batch in pq.ParquetFile(file).iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield RawRow(f"{file.name}:{number}", f"{file.stem}/{number}", path.stem, row)
        except (pa.ArrowInvalid, OSError) as error:
            raise DataError(f"{file} is not a readable Parquet file: {error}") from error


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
