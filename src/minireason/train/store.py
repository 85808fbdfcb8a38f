"""Token ids on disk: written once while the records stream by, memory-mapped when read.

A store is a folder of parts, each of some ten thousand units and written whole or not at all:

    part-00000/ids.bin         int32, the tokens of all sequences, end to end
               sequences.npy   int64, a row for each: its first token, its tokens, its targets
               units.npy       int64, a row for each: its first sequence, whether it is held out
               names.npy       a string for each unit

What a process holds in memory is a few numbers a unit; the pages of the files belong to the
machine, which shares them between processes and drops them when memory is short.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import overload

import numpy as np

from minireason.atomic import whole_file
from minireason.errors import DataError
from minireason.runfolder import remove
from minireason.train.packing import TokenSequence, Unit

ID = np.dtype("<i4")
VALUE = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class Entry:
    """What is kept of a record."""

    name: str
    unit: Unit
    is_held_out: bool = False


def write_part(path: Path, entries: Iterable[Entry]) -> None:
    """Write one part of a store as the entries come."""
    partial = path.with_name(path.name + ".partial")
    remove(partial)
    partial.mkdir(parents=True)
    sequences: list[tuple[int, int, int]] = []
    units: list[tuple[int, bool]] = []
    names: list[str] = []
    first = 0
    with (partial / "ids.bin").open("wb") as file:
        for entry in entries:
            units.append((len(sequences), entry.is_held_out))
            names.append(entry.name)
            for sequence in entry.unit:
                file.write(np.asarray(sequence.ids, dtype=ID).tobytes())
                sequences.append((first, len(sequence.ids), sequence.num_targets))
                first += len(sequence.ids)
    np.save(partial / "sequences.npy", np.array(sequences, dtype=np.int64))
    np.save(partial / "units.npy", np.array(units, dtype=np.int64))
    np.save(partial / "names.npy", np.array(names))
    partial.rename(path)


@dataclass(frozen=True, slots=True)
class _Part:
    """The files of one part, memory-mapped."""

    ids: np.ndarray
    sequences: np.ndarray
    units: np.ndarray
    names: np.ndarray

    @staticmethod
    def open(path: Path) -> _Part:
        def mapped(name: str) -> np.ndarray:
            return np.asarray(np.load(path / name, mmap_mode="r"))

        # asarray: slices of a plain array are made in a tenth of the time of a memmap's
        ids = np.asarray(np.memmap(path / "ids.bin", dtype=ID, mode="r"))
        return _Part(ids, mapped("sequences.npy"), mapped("units.npy"), mapped("names.npy"))

    def sequences_of(self, unit: int) -> range:
        last = unit + 1 == len(self.units)
        end = len(self.sequences) if last else int(self.units[unit + 1, 0])
        return range(int(self.units[unit, 0]), end)

    def sequence(self, number: int) -> tuple[np.ndarray, int]:
        first, length, num_targets = self.sequences[number].tolist()
        return self.ids[first : first + length], num_targets

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each unit."""
        return np.add.reduceat(self.sequences[:, 1], self.units[:, 0])


@dataclass(frozen=True, slots=True)
class _Values:
    """A float32 for every target token, and where those of each sequence of the store begin."""

    values: np.ndarray
    starts: np.ndarray


@dataclass(frozen=True, slots=True)
class _Parts:
    """All parts with the numbers of their first units and sequences, and the end of the last."""

    parts: Sequence[_Part]
    first_units: np.ndarray
    first_sequences: np.ndarray

    @staticmethod
    def open(paths: Sequence[Path]) -> _Parts:
        parts = [_Part.open(path) for path in paths]
        counts = ([len(p.units) for p in parts], [len(p.sequences) for p in parts])
        return _Parts(parts, *(np.cumsum([0, *sizes]) for sizes in counts))

    @property
    def num_targets(self) -> np.ndarray:
        """Targets of every sequence."""
        return np.concatenate([part.sequences[:, 2] for part in self.parts])

    @property
    def first_of_units(self) -> np.ndarray:
        """The first sequence of every unit, and the number of all sequences."""
        befores = self.first_sequences.tolist()
        firsts = [
            part.units[:, 0] + before for part, before in zip(self.parts, befores, strict=False)
        ]
        return np.concatenate([*firsts, self.first_sequences[-1:]])

    def find(self, unit: int) -> tuple[int, int]:
        """The part that holds a unit, and its number there."""
        part = int(np.searchsorted(self.first_units, unit, side="right")) - 1
        return part, unit - int(self.first_units[part])


@dataclass(frozen=True, slots=True, eq=False)
class TokenStore(Sequence[Unit]):
    """Units of a store's folder, all or some (`take`), whose token ids are slices of the files.

    `lengths` are the tokens of each unit and `is_held_out` what was said when it was written.
    """

    files: _Parts
    indices: np.ndarray
    lengths: np.ndarray
    is_held_out: np.ndarray
    values: Mapping[str, _Values] = field(default_factory=dict)

    @staticmethod
    def open(paths: Sequence[Path]) -> TokenStore:
        """All units of these parts."""
        files = _Parts.open(paths)
        none = np.zeros(0, dtype=np.int64)
        lengths = np.concatenate([none, *(part.lengths for part in files.parts)])
        held_out = np.concatenate([none, *(part.units[:, 1] for part in files.parts)])
        return TokenStore(files, np.arange(len(lengths)), lengths, held_out.astype(bool))

    def take(self, chosen: np.ndarray | slice) -> TokenStore:
        """The units at these places, in their order."""
        return replace(
            self,
            indices=self.indices[chosen],
            lengths=self.lengths[chosen],
            is_held_out=self.is_held_out[chosen],
        )

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, at: int) -> Unit: ...
    @overload
    def __getitem__(self, at: slice) -> TokenStore: ...
    def __getitem__(self, at: int | slice) -> Unit | TokenStore:
        if isinstance(at, slice):
            return self.take(at)
        number, unit = self.files.find(int(self.indices[at]))
        return [self._sequence(number, n) for n in self.files.parts[number].sequences_of(unit)]

    def _sequence(self, part: int, number: int) -> TokenSequence:
        ids, num_targets = self.files.parts[part].sequence(number)
        values = {}
        for name, kept in self.values.items():
            start = kept.starts[self.files.first_sequences[part] + number]
            values[name] = kept.values[start : start + num_targets]
        return TokenSequence(ids, num_targets, values)

    @property
    def names(self) -> Sequence[str]:
        """The name of each unit."""
        return _Names(self)

    def with_values(self, name: str, file: Path) -> TokenStore:
        """The same units with the file's values (`write_values`) for their target tokens."""
        targets, firsts = self.files.num_targets, self.files.first_of_units
        counts = np.diff(firsts)[self.indices]
        chosen = np.repeat(firsts[self.indices] - np.cumsum(counts) + counts, counts)
        chosen += np.arange(len(chosen))  # the numbers of this view's sequences
        starts = np.full(len(targets), -1, dtype=np.int64)
        starts[chosen] = np.cumsum(targets[chosen]) - targets[chosen]
        expected, found = int(targets[chosen].sum()), file.stat().st_size // VALUE.itemsize
        if found != expected:
            raise DataError(f"{file} holds {found} values for {expected} target tokens; delete it")
        values = np.asarray(np.memmap(file, dtype=VALUE, mode="r"))
        return replace(self, values={**self.values, name: _Values(values, starts)})


@dataclass(frozen=True, slots=True, eq=False)
class _Names(Sequence[str]):
    store: TokenStore

    def __len__(self) -> int:
        return len(self.store)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[place] for place in range(*at.indices(len(self)))]
        part, unit = self.store.files.find(int(self.store.indices[at]))
        return str(self.store.files.parts[part].names[unit])


def write_values(file: Path, values: Iterable[np.ndarray]) -> None:
    """Write numbers for the target tokens of units, in their order, as they come."""
    with whole_file(file) as partial, partial.open("wb") as out:
        for part in values:
            out.write(np.asarray(part, dtype=VALUE).tobytes())
