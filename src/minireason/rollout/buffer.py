"""What a training step sampled, kept until it has been learnt: a kill in the update loses nothing.

Groups are those of a step only if the very same weights sampled them: a step that is done again
after other ones than before is sampled again.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.parquet as pq
import torch

from minireason.atomic import whole_file
from minireason.records import Group, read_records, write_records

CHUNK = 1 << 24  # weights added up at once: bounds the memory that their 64-bit copy takes
BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, slots=True)
class SampledBy:
    """What groups were sampled with; `lag` counts the updates that the weights missed."""

    weights: str
    temperature: float
    lag: int
    seed: int

    def as_text(self) -> dict[str, str]:
        return {name: repr(value) for name, value in asdict(self).items()}

    @staticmethod
    def read(path: Path) -> SampledBy:
        found = pq.read_schema(path).metadata or {}
        texts = {name: found.get(name.encode(), b"").decode() for name in SampledBy.__slots__}
        return SampledBy(
            weights=texts["weights"].strip("'"),
            temperature=float(texts["temperature"]),
            lag=int(texts["lag"]),
            seed=int(texts["seed"]),
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """The groups of a step, and what sampled them."""

    groups: list[Group]
    sampled_by: SampledBy


class RolloutBuffer:
    """The groups of the newest steps, each in `folder/step-NNNNNN.parquet`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, number: int) -> Path:
        return self.folder / f"step-{number:06d}.parquet"

    def read(self, number: int, sampled_by: SampledBy) -> Kept | None:
        """The groups of the step, if they are there and were sampled by just this."""
        path = self.path(number)
        if not path.is_file() or SampledBy.read(path) != sampled_by:
            return None
        return Kept(read_records(path, Group), sampled_by)

    def write(
        self, number: int, groups: Sequence[Group], sampled_by: SampledBy, oldest: int
    ) -> None:
        """Keep the groups of the step, and forget those of the steps before the oldest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_records(self.path(number), groups, Group, about=sampled_by.as_text())
        for other in self.folder.glob("step-*.parquet"):
            if other.name < self.path(oldest).name:
                other.unlink()

    def take_in(self, files: Mapping[str, Path]) -> dict[int, Kept]:
        """Keep files of a buffer, by their names there, that lie elsewhere; what is in them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        found = {}
        for name, path in files.items():
            number = int(Path(name).stem.removeprefix("step-"))
            with whole_file(self.path(number)) as partial:
                shutil.copyfile(path, partial)
            found[number] = Kept(read_records(path, Group), SampledBy.read(path))
        return found


def weights_identity(model: torch.nn.Module) -> str:
    """A hash of the weights' bits, by sums of integers that no order of adding can change."""
    digest = hashlib.sha256()
    for name, weight in model.named_parameters():
        bits = weight.detach().contiguous().view(-1).view(BITS[weight.element_size()])
        sums = torch.stack([part.sum(dtype=torch.int64) for part in bits.split(CHUNK)])
        digest.update(f"{name}{tuple(weight.shape)}{sums.tolist()}".encode())
    return digest.hexdigest()
