"""Verdicts for a table of responses: every row comes back with its verdict beside it.

The work is done in parts that are kept, so that it goes on where it was after an interruption; the
output appears when all parts are there. JSON comes back as JSON Lines, Parquet as Parquet with the
types it had.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from minireason.errors import DataError, RunFolderError
from minireason.records import parquet_files
from minireason.tables import SUFFIXES, RawRow, count_rows, is_parquet, read_rows
from minireason.verify.judge import Case, Judge
from minireason.verify.recheck import recheck
from minireason.verify.verifier import Decision, Verifier

ROWS_A_PART = 10_000
ADDED = ("verdict", "extracted", "method", "reason")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class VerifyColumns:
    """Where a row keeps its response and its reference answer; `prefix` goes before what is added.

    A response may be a text or a list of messages, of which the last one counts. `kind` and, for
    a judge, `question` may be absent from the rows.
    """

    response: str = "response"
    answer: str = "answer"
    kind: str = "answer_kind"
    prefix: str = ""
    question: str = "question"


def verify_file(
    source: Path,
    out: Path,
    verifier: Verifier,
    columns: VerifyColumns | None = None,
    on_part: Callable[[int, int, str], None] = lambda done, total, text: None,
    judge: Judge | None = None,
) -> Counter[str]:
    """Write the rows of `source` with their verdicts to `out`; how many there are of each.

    A judge's calls are logged beside it. Raises DataError for a row that cannot be used,
    RunFolderError where `out` was begun from something else, SamplingError where the judge cannot
    be asked. The parts before stay beside `out`.
    """
    columns = columns or VerifyColumns()
    total, schema = count_rows(source), _parquet_schema(source, columns)
    if not total:
        raise DataError(f"{source} has no rows")
    parts = out.with_name(out.name + ".partial")
    _begin(parts, source, columns, judge)
    counts: Counter[str] = Counter()
    rows, number, done = read_rows(source), 0, 0
    while part := list(islice(rows, ROWS_A_PART)):
        target = parts / f"part-{number:05d}"
        if not target.is_file():
            rows_read = [(raw, dict(raw.parsed())) for raw in part]
            cases = _cases(rows_read, done, verifier, columns)
            log = target.with_suffix(".judge.jsonl")
            decisions = recheck(judge, cases, log) if judge else [c.decision for c in cases]
            rows_done = [
                _joined(raw, row, decision, columns.prefix)
                for (raw, row), decision in zip(rows_read, decisions, strict=True)
            ]
            verdicts = Counter(decision.verdict for decision in decisions)
            target.with_suffix(".json").write_text(json.dumps(verdicts))
            _write(target, rows_done, schema)
        counts += Counter(json.loads(target.with_suffix(".json").read_text()))
        number, done = number + 1, done + len(part)
        on_part(done, total, "")
    if judge:
        _join(sorted(parts.glob("*.judge.jsonl")), judge_log(out), None)
    _join(sorted(parts.glob("part-?????")), out, schema)
    shutil.rmtree(parts)
    return counts


def default_out(source: Path) -> Path:
    """`NAME.verified.jsonl` or `.parquet` beside the source."""
    stem = source.name
    for suffix in SUFFIXES:
        stem = stem.removesuffix(suffix)
    return source.with_name(f"{stem}.verified.{'parquet' if is_parquet(source) else 'jsonl'}")


def judge_log(out: Path) -> Path:
    """`NAME.judge.jsonl` beside the output: every call of the judge."""
    return out.with_suffix(".judge.jsonl")


def _begin(parts: Path, source: Path, columns: VerifyColumns, judge: Judge | None) -> None:
    """Say what the parts come from, or check that parts already there come from the same."""
    files = parquet_files(source) if source.is_dir() else [source]
    sizes = {str(file.resolve()): file.stat().st_size for file in files if file.exists()}
    origin = {"files": sizes, "columns": asdict(columns)}
    if judge:
        origin["judge"] = {**judge.settings(), "rechecks": list(judge.rechecks)}
    note = parts / "origin.json"
    if any(parts.glob("part-?????")):
        if json.loads(note.read_text()) != origin:
            raise RunFolderError(
                f"{parts} was begun from another file, or with other columns or another judge; "
                f"remove it, or give another --out"
            )
        return
    try:
        parts.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(origin))
    except OSError as error:
        raise RunFolderError(f"cannot write {parts}: {error}; give another --out") from error


def _cases(
    rows: Sequence[tuple[RawRow, Row]], first: int, verifier: Verifier, columns: VerifyColumns
) -> list[Case]:
    """The rows with what the rules decide on them; a row is known by its number in the file."""
    texts = [
        (_text(raw, row, columns.response), _text(raw, row, columns.answer)) for raw, row in rows
    ]
    kinds = [str(row.get(columns.kind) or "") for _, row in rows]
    decisions = verifier.verify_batch([(*t, k) for t, k in zip(texts, kinds, strict=True)])
    return [
        Case(
            f"row {first + place}",
            0,
            _text(raw, row, columns.question) if row.get(columns.question) else "",
            answer,
            response,
            row.get("finish_reason") == "length",
            decision,
        )
        for place, ((raw, row), (response, answer), decision) in enumerate(
            zip(rows, texts, decisions, strict=True)
        )
    ]


def _text(raw: RawRow, row: Mapping[str, Any], column: str) -> str:
    """The text of a column; a number is written out, of messages the last one counts."""
    if column not in row:
        raise DataError(f"{raw.where}: no column {column!r}; the row has {', '.join(row)}")
    value = row[column]
    if isinstance(value, list) and value and isinstance(value[-1], Mapping):
        value = value[-1].get("content")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        kind = type(value).__name__
        raise DataError(f"{raw.where}: {column} is a {kind}; it must be text, a number or messages")
    return str(value)


def _joined(raw: RawRow, row: Row, decision: Decision, prefix: str) -> Row:
    values = asdict(decision)
    added = {f"{prefix}{name}": values[name] for name in ADDED}
    if taken := [name for name in added if name in row]:
        raise DataError(
            f"{raw.where}: there is a column {taken[0]!r}; give a --prefix for the added ones"
        )
    return {**row, **added}


def _parquet_schema(source: Path, columns: VerifyColumns) -> pa.Schema | None:
    """The schema of the output where it is Parquet; None where it is JSON Lines."""
    if not is_parquet(source):
        return None
    schema = pq.read_schema(parquet_files(source)[0])
    for name in ADDED:
        schema = schema.append(pa.field(f"{columns.prefix}{name}", pa.string()))
    return schema


def _write(target: Path, rows: Sequence[Row], schema: pa.Schema | None) -> None:
    """The rows of a part, which appears whole."""
    partial = target.with_suffix(".writing")
    if schema is None:
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        partial.write_bytes("".join(lines).encode("utf-8", "surrogatepass"))
    else:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), partial)
    partial.rename(target)


def _join(parts: Sequence[Path], out: Path, schema: pa.Schema | None) -> None:
    partial = out.with_name(out.name + ".writing")
    if schema is None:
        with partial.open("wb") as joined:
            for part in parts:
                with part.open("rb") as lines:
                    shutil.copyfileobj(lines, joined)
    else:
        with pq.ParquetWriter(partial, schema) as writer:
            for part in parts:
                writer.write_table(pq.read_table(part))
    partial.rename(out)
