"""Log-probabilities of preference pairs under a reference model: computed once, kept as Parquet.

A shard of the folder has a row a pair: `id`, and a float32 for every target token of the chosen
and of the rejected response, in nats. `reference.json` names the model and the tokens they are of;
those of another model or of other tokens are never used. Because shards are scored by themselves,
a run that goes on after a kill has the same values to the bit as one that was never stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from minireason.atomic import whole_file
from minireason.errors import DataError, MissingError
from minireason.progress import Advance
from minireason.runfolder import StepFolder, file_hash, read_json, remove, write_json
from minireason.train.packing import Unit

IDENTITY = "reference.json"
SHARD_SIZE = 128  # pairs that a kill costs at most
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("chosen_logprobs", pa.list_(pa.float32())),
        ("rejected_logprobs", pa.list_(pa.float32())),
    ]
)

ScorePairs = Callable[[Sequence[Unit]], Sequence[Sequence[np.ndarray]]]
"""From pairs to the log-probabilities of their two sequences' target tokens."""


@dataclass(frozen=True)
class ReferenceLogprobs:
    """The log-probabilities of `pairs`, each with its id, under the model that `made_by` describes.

    Of several processes one calls `prepare`; then process r of W computes the shards
    `range(num_shards)[r::W]`, and when all are done, every one may read.
    """

    folder: Path
    ids: Sequence[str]
    pairs: Sequence[Unit]
    made_by: Mapping[str, str]
    shard_size: int = SHARD_SIZE

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What must be the same for the values on disk to be these."""
        tokens = _tokens_hash(self.ids, self.pairs)
        return {**self.made_by, "tokens": tokens, "shard_size": self.shard_size}

    @property
    def num_shards(self) -> int:
        return -(-len(self.pairs) // self.shard_size)

    def prepare(self) -> bool:
        """Make the folder; whether values of another model or of other pairs had to go."""
        path = self.folder / IDENTITY
        found = read_json(path) if path.is_file() else None
        if found != self.identity:
            if self.folder.exists():
                remove(self.folder)
            self.folder.mkdir(parents=True)
            write_json(path, self.identity)
        return found not in (None, self.identity)

    def compute(
        self,
        score: ScorePairs,
        shards: Iterable[int],
        advance: Advance = lambda done, total, text: None,
    ) -> None:
        """Score and write these shards but for those that are there."""
        self._check()
        wanted = list(shards)
        for done, number in enumerate(wanted, start=1):
            if not self._path(number).is_file():
                self._write(number, score(self.pairs[self._part(number)]))
            advance(done, len(wanted), "shards")

    def read(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The chosen and the rejected response's values, pair after pair.

        Raises DataError where the values are others or not readable, MissingError where a shard
        has not been computed.
        """
        self._check()
        for number in range(self.num_shards):
            path = self._path(number)
            if not path.is_file():
                raise MissingError(f"{path} does not exist; compute shard {number} first")
            try:
                table = pq.read_table(path, schema=SCHEMA)
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{path} is not readable ({error}); delete it") from error
            columns = (table["chosen_logprobs"], table["rejected_logprobs"])
            for chosen, rejected in zip(*columns, strict=True):
                yield chosen.values.to_numpy(), rejected.values.to_numpy()

    def _check(self) -> None:
        path = self.folder / IDENTITY
        if not path.is_file() or read_json(path) != self.identity:
            raise DataError(
                f"{self.folder} holds no reference log-probabilities of this model for these "
                f"pairs; call prepare() first, which deletes those of others"
            )

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:05d}.parquet"

    def _part(self, number: int) -> slice:
        return slice(number * self.shard_size, (number + 1) * self.shard_size)

    def _write(self, number: int, logprobs: Sequence[Sequence[np.ndarray]]) -> None:
        chosen, rejected = zip(*logprobs, strict=True)
        columns = (self.ids[self._part(number)], chosen, rejected)
        arrays = [pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)]
        with whole_file(self._path(number)) as partial:
            pq.write_table(pa.table(arrays, schema=SCHEMA), partial)


def model_identity(folder: Path) -> str:
    """What a finished step's manifest calls its product; of another model, a hash of its files."""
    step = StepFolder(folder.name, folder, {}, {})
    if step.is_finished:
        return step.identity()
    files = [folder / "config.json", *sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256("".join(map(file_hash, files)).encode()).hexdigest()


def _tokens_hash(ids: Sequence[str], pairs: Sequence[Unit]) -> str:
    digest = hashlib.sha256()
    for pair_id, pair in zip(ids, pairs, strict=True):
        digest.update(f"{pair_id}\n".encode())
        for sequence in pair:
            shape = (len(sequence.ids), sequence.num_targets)
            digest.update(np.array(shape, dtype="<i8").tobytes())
            digest.update(np.asarray(sequence.ids, dtype="<i8").tobytes())
    return digest.hexdigest()
