"""The nouns that pass between the steps, and how they lie on disk as Parquet.

Question -> Rollout -> Verdict -> Example / Pair -> Group. `messages`, `prompt`, `chosen` and
`rejected` have the conversational form that users of `datasets` and TRL expect, so that another
trainer can read our data and we can read theirs. Fields with defaults may be absent in a file.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from minireason.atomic import whole_file
from minireason.errors import DataError, MissingError

VerdictLabel = Literal["correct", "incorrect", "unknown"]
FinishReason = Literal["stop", "length"]
AnswerKind = Literal["", "integer", "fraction", "expression", "tuple", "choice"]
Message = dict[str, str]

LEVELS = ("elementary", "middle", "high", "college", "graduate")
ROW_GROUP = 1_000  # records in memory at once when a file is written or streamed
DOMAINS = ("arithmetic", "algebra", "number_theory", "geometry", "counting")


@dataclass(frozen=True, slots=True)
class Question:
    """A question with a verifiable answer. `answer_kind` is empty where the source does not say."""

    id: str
    text: str
    answer: str
    source: str
    domain: str = ""
    level: str = ""
    answer_kind: str = ""
    solution: str = ""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled response to a question. `num_tokens` counts the response; 0 where unknown."""

    question_id: str
    index: int
    response: str
    model: str
    finish_reason: str
    num_tokens: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a rollout's answer equals the question's, and the evidence: which rule decided."""

    question_id: str
    index: int
    verdict: str
    extracted: str
    method: str
    reason: str


@dataclass(frozen=True, slots=True)
class Annotation:
    """What curation knows of a rollout, and why stage 1 does not imitate it (empty: it does).

    `num_tokens` is by the tokenizer of the model that is trained; shares are between 0 and 1.
    `repetition` is the score that counts; it is made of `repeated_ngrams`, `compression` and
    `loop` (`curate/repetition.py`).
    """

    question_id: str
    index: int
    source: str
    domain: str
    level: str
    verdict: str
    pass_rate: float
    num_tokens: int
    num_characters: int
    is_truncated: bool
    repetition: float
    repeated_ngrams: float
    compression: float
    loop: float
    foreign_share: float
    quality: float
    dropped: str


@dataclass(frozen=True, slots=True)
class Example:
    """One conversation to imitate: the last message is the assistant's response."""

    id: str
    messages: list[Message]
    domain: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """A preference: `chosen` over `rejected` as the response to `prompt`, each a message list."""

    id: str
    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    domain: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question admitted to reinforcement learning, with what its trial rollouts showed."""

    question_id: str
    prompt: list[Message]
    answer: str
    answer_kind: str
    pass_rate: float
    mean_tokens: float
    length_spread: float
    domain: str = ""
    level: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """A question not admitted to reinforcement learning, why, and what its trials showed."""

    question_id: str
    reason: str
    num_trials: int
    pass_rate: float
    mean_tokens: float
    length_spread: float


@dataclass(frozen=True, slots=True)
class Group:
    """The sampled responses to one prompt and what they are worth; ids and logprobs are per token.

    A reward is None where it cannot be told. `reward_parts` are the rewards that it
    is made of, before their weights.
    """

    question_id: str
    prompt_ids: list[int]
    response_ids: list[list[int]]
    logprobs: list[list[float]]
    rewards: list[float | None]
    finish_reasons: list[str]
    verdicts: list[str]
    extracted: list[str]
    reward_parts: list[list[float | None]]


@dataclass(frozen=True, slots=True)
class PolicySample:
    """A response that the policy gave in a step of RLVR, its reward and what became of it.

    `reward` is None where the verdict is unknown, `advantage` where nothing was learnt from it.
    `reward_parts` are the unweighted rewards by `reward_names`. `lag` counts the updates between
    the weights that sampled it and those that learnt from it.
    """

    step: int
    question_id: str
    index: int
    question: str
    answer: str
    response: str
    verdict: str
    extracted: str
    finish_reason: str
    num_tokens: int
    temperature: float
    mean_logprob: float
    reward_names: list[str]
    reward_parts: list[float | None]
    reward: float | None = None
    advantage: float | None = None
    lag: int = 0


@dataclass(frozen=True, slots=True)
class EvalSample:
    """One answer of one model to one benchmark question, with its verdict."""

    benchmark: str
    question_id: str
    index: int
    question: str
    answer: str
    response: str
    verdict: str
    extracted: str
    method: str
    finish_reason: str
    num_tokens: int
    domain: str = ""
    level: str = ""


Record = TypeVar("Record")

_SCALARS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
_MESSAGE = pa.struct([("role", pa.string()), ("content", pa.string())])


def _arrow_type(hint: Any) -> pa.DataType:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if hint == Message:
        return _MESSAGE
    if typing.get_origin(hint) is list:
        return pa.list_(_arrow_type(typing.get_args(hint)[0]))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return _arrow_type(next(a for a in typing.get_args(hint) if a is not type(None)))
    raise TypeError(f"no Parquet type for {hint}")


def schema(record: type) -> pa.Schema:
    """The Parquet schema of a record class, one column a field."""
    hints = typing.get_type_hints(record)
    return pa.schema([(f.name, _arrow_type(hints[f.name])) for f in dataclasses.fields(record)])


def write_records(
    path: Path, records: Iterable[Any], record: type, about: Mapping[str, str] | None = None
) -> int:
    """Write records to one Parquet file, atomically, as they come; return how many.

    What the file is `about` goes into the metadata of its schema.
    """
    names = [f.name for f in dataclasses.fields(record)]
    layout = schema(record).with_metadata(dict(about) if about else None)
    count, left = 0, iter(records)
    with whole_file(path) as partial, pq.ParquetWriter(partial, layout) as writer:
        while rows := [{n: getattr(r, n) for n in names} for r in islice(left, ROW_GROUP)]:
            writer.write_table(pa.Table.from_pylist(rows, schema=layout))
            count += len(rows)
    return count


def read_records(path: Path, record: type[Record]) -> list[Record]:
    """All records of a Parquet file, or of every `*.parquet` shard of a folder in name order."""
    return list(iter_records(path, record))


def iter_records(path: Path, record: type[Record]) -> Iterator[Record]:
    """Stream the records of a Parquet file or folder of shards, a row group at a time."""
    for file in parquet_files(path):
        yield from _iter_file(file, record)


@dataclass(frozen=True, slots=True)
class RecordsPart:
    """A run of records: some row groups, each by its file and its number there."""

    row_groups: Sequence[tuple[Path, int]]
    num_records: int


def records_in_parts(path: Path, size: int) -> list[RecordsPart]:
    """The records of a Parquet file or folder in parts of `size`, to the nearest row group."""
    parts: list[RecordsPart] = []
    row_groups: list[tuple[Path, int]] = []
    count = 0
    for file in parquet_files(path):
        metadata = _opened(file).metadata
        for number in range(metadata.num_row_groups):
            row_groups.append((file, number))
            count += metadata.row_group(number).num_rows
            if count >= size:
                parts.append(RecordsPart(row_groups, count))
                row_groups, count = [], 0
    return [*parts, RecordsPart(row_groups, count)] if count else parts


def iter_part(part: RecordsPart, record: type[Record]) -> Iterator[Record]:
    """Stream the records of a part."""
    for file, number in part.row_groups:
        yield from _iter_file(file, record, [number])


def parquet_files(path: Path) -> Sequence[Path]:
    """The file itself, or the `*.parquet` shards of a folder in name order."""
    if not path.exists():
        raise MissingError(f"{path} does not exist")
    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    if not files:
        raise MissingError(f"{path} holds no *.parquet file")
    return files


def _opened(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is not a readable Parquet file: {error}") from error


def _iter_file(
    file: Path, record: type[Record], row_groups: Sequence[int] | None = None
) -> Iterator[Record]:
    fields = dataclasses.fields(record)  # type: ignore[arg-type]
    parquet = _opened(file)
    try:
        names = set(parquet.schema_arrow.names)
        missing = [f.name for f in fields if f.name not in names and _is_required(f)]
        if missing:
            raise DataError(
                f"{file} lacks the column {missing[0]!r} of {record.__name__}; "
                f"it has {', '.join(sorted(names))}"
            )
        columns = [f.name for f in fields if f.name in names]
        for batch in parquet.iter_batches(ROW_GROUP, row_groups, columns):
            for row in batch.to_pylist():
                yield record(**row)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} is not a readable Parquet file: {error}") from error


def _is_required(f: dataclasses.Field) -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
