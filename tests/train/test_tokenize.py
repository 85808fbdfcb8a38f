"""Tokenising: what every process and every restart makes is one store, written once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from minireason.errors import DataError
from minireason.records import Example, write_records
from minireason.train import tokenize
from minireason.train.packing import TokenSequence
from minireason.train.store import Entry, TokenStore
from minireason.train.tokenize import write_store
from minireason.world import World

NUM_EXAMPLES = 25


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Examples in two files of row groups of 3 records; a part has two row groups."""
    monkeypatch.setattr("minireason.records.ROW_GROUP", 3)
    monkeypatch.setattr(tokenize, "PART_SIZE", 6)
    monkeypatch.setattr(tokenize, "BATCH_SIZE", 2)
    folder = tmp_path / "source"
    folder.mkdir()
    examples = [
        Example(f"e{i}", [{"role": "user", "content": "x" * i}]) for i in range(NUM_EXAMPLES)
    ]
    write_records(folder / "part-00000.parquet", examples[:10], Example)
    write_records(folder / "part-00001.parquet", examples[10:], Example)
    return folder


class Encoder:
    """Ids that tell an example's length; counts what it was given, and may break off."""

    def __init__(self, stop_after: int = 10**6) -> None:
        self.num_seen, self.stop_after = 0, stop_after

    def __call__(self, examples: Sequence[Example]) -> Iterator[Entry]:
        for example in examples:
            if self.num_seen == self.stop_after:
                raise KeyboardInterrupt
            self.num_seen += 1
            length = len(example.messages[0]["content"])
            yield Entry(example.id, [TokenSequence([length] * (length + 2), 1)])


def assert_whole(store: TokenStore) -> None:
    assert list(store.names) == [f"e{i}" for i in range(NUM_EXAMPLES)]
    assert [list(s.ids) for (s,) in store] == [[i] * (i + 2) for i in range(NUM_EXAMPLES)]


def test_every_record_is_stored_in_its_order_in_parts(source: Path, tmp_path: Path) -> None:
    assert_whole(write_store(tmp_path / "tokens", source, Example, Encoder()))
    # row groups of 3 3 3 1 | 3 3 3 3 3: 6, 3 + 1 + 3, 6 and 6 records
    assert [p.name for p in sorted((tmp_path / "tokens").iterdir())] == [
        f"part-{number:05d}" for number in range(4)
    ]


def test_after_a_kill_finished_parts_are_kept(source: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_store(tmp_path / "tokens", source, Example, Encoder(stop_after=10))
    rest = Encoder()
    assert_whole(write_store(tmp_path / "tokens", source, Example, rest))
    assert rest.num_seen == NUM_EXAMPLES - 6
    unused = Encoder(stop_after=0)
    assert_whole(write_store(tmp_path / "tokens", source, Example, unused))


def test_several_processes_write_one_store_and_each_reads_all(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    barrier = Barrier(3)
    monkeypatch.setattr(World, "wait", lambda self: barrier.wait(30))
    encoders, stores = [Encoder() for _ in range(3)], dict[int, TokenStore]()

    def work(rank: int) -> None:
        world = World(rank, 3)
        stores[rank] = write_store(tmp_path / "tokens", source, Example, encoders[rank], world)

    threads = [Thread(target=work, args=[rank]) for rank in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [e.num_seen for e in encoders] == [12, 7, 6]
    for rank in range(3):
        assert_whole(stores[rank])


def test_the_parts_of_another_source_are_an_error(source: Path, tmp_path: Path) -> None:
    write_store(tmp_path / "tokens", source, Example, Encoder())
    (source / "part-00001.parquet").unlink()
    with pytest.raises(DataError, match="tokens holds 13 of 10 examples; delete it"):
        write_store(tmp_path / "tokens", source, Example, Encoder())


def test_progress_counts_examples_the_kept_ones_too(source: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write_store(tmp_path / "tokens", source, Example, Encoder(stop_after=7))
    seen: list[Any] = []
    write_store(
        tmp_path / "tokens", source, Example, Encoder(), advance=lambda *shown: seen.append(shown)
    )
    assert seen[0] == (6, 25, "examples") and seen[-1] == (25, 25, "examples")
    counts = [done for done, _, _ in seen]
    assert counts == sorted(counts)
