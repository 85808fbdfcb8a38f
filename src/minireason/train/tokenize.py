"""From records to a token store: tokenised in batches as they stream by, and only once."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from minireason.errors import DataError
from minireason.progress import Advance
from minireason.records import RecordsPart, iter_part, records_in_parts
from minireason.train.store import Entry, TokenStore, write_part
from minireason.world import ALONE, World

Record = TypeVar("Record")

PART_SIZE = 10_000  # records that a kill costs each process at most
BATCH_SIZE = 256  # records tokenised at once

Encode = Callable[[Sequence[Record]], Iterable[Entry]]
"""From some records to the entry of each, in their order."""


def write_store(
    folder: Path,
    source: Path,
    record: type[Record],
    encode: Encode[Record],
    world: World = ALONE,
    advance: Advance = lambda done, total, text: None,
) -> TokenStore:
    """The store of a source's records, after writing what parts of it are not there.

    Of W processes, number r writes every W-th part from the r-th; all must call it, and each gets
    the whole store. Raises DataError where the parts are of another source.
    """
    parts = records_in_parts(source, PART_SIZE)
    paths = [folder / f"part-{number:05d}" for number in range(len(parts))]
    mine = list(zip(parts, paths, strict=True))[world.rank :: world.size]
    total, done = sum(part.num_records for part, _ in mine), 0
    for part, path in mine:
        if not path.exists():
            started = partial(_shown, advance, done, total)
            write_part(path, _entries(part, record, encode, started))
        done += part.num_records
        advance(done, total, "examples")
    world.wait()
    store = TokenStore.open(paths)
    if len(store) != (expected := sum(part.num_records for part in parts)):
        raise DataError(f"{folder} holds {len(store)} of {expected} examples; delete it")
    return store


def _shown(advance: Advance, before: int, total: int, done: int) -> None:
    advance(before + done, total, "examples")


def _entries(
    part: RecordsPart,
    record: type[Record],
    encode: Encode[Record],
    advance: Callable[[int], None],
) -> Iterator[Entry]:
    coming, done = iter_part(part, record), 0
    while batch := list(itertools.islice(coming, BATCH_SIZE)):
        yield from encode(batch)
        done += len(batch)
        advance(done)
