"""Rows of a table on disk, each with its place: JSON Lines (also gzipped), a JSON list, Parquet."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from minireason.errors import DataError, MissingError
from minireason.records import parquet_files

SUFFIXES = (".jsonl", ".jsonl.gz", ".json", ".parquet")


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as read: `where` for messages, what its id and source are if it does not say.

    `content` is the line of a JSON Lines file, or the row already parsed.
    """

    where: str
    id: str
    source: str
    content: Any

    def parsed(self) -> Mapping[str, Any]:
        """The row by column. Raises DataError where it is no object, or no JSON at all."""
        content = self.content
        if isinstance(content, bytes):
            try:
                content = json.loads(content.decode("utf-8-sig"))
            except (ValueError, RecursionError) as error:
                raise DataError(f"{self.where}: not valid JSON: {error}") from error
        if not isinstance(content, Mapping):
            kind = type(content).__name__
            raise DataError(f"{self.where}: a {kind}; each row must be an object with columns")
        return content


def is_parquet(path: Path) -> bool:
    """Whether the path is a Parquet file or a folder of its shards, by its name."""
    return path.is_dir() or path.name.endswith(".parquet")


def read_rows(path: Path) -> Iterator[RawRow]:
    """The rows of a file, or of a folder of Parquet shards, in order.

    Raises MissingError where there is nothing, DataError where the file cannot be read (on).
    """
    if not path.exists():
        raise MissingError(
            f"{path} does not exist; give a file ({', '.join(SUFFIXES)}) or a folder of *.parquet "
            f"files"
        )
    if is_parquet(path):
        return _parquet_rows(path)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return _json_lines(path)
    if path.name.endswith(".json"):
        return _json_list(path)
    raise DataError(f"{path} is of no known kind; allowed: {', '.join(SUFFIXES)}")


def count_rows(path: Path) -> int:
    """How many rows `read_rows` gives; reads through everything but Parquet, without parsing."""
    if is_parquet(path):
        return sum(_num_rows(file) for file in parquet_files(path))
    return sum(1 for _ in read_rows(path))


def _num_rows(file: Path) -> int:
    try:
        return int(pq.read_metadata(file).num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{file} is not a readable Parquet file: {error}") from error


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
            f"a row (for one object a line, name it .jsonl)"
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
