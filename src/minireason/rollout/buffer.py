"""What a training step sampled, kept until the next one has: a kill in the update does not lose it.

Groups are those of a step only if the very same weights sampled them: a step that is done again
after other ones than before is sampled again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq
import torch

from minireason.records import Group, read_records, write_records

CHUNK = 1 << 24  # weights added up at once: bounds the memory that their 64-bit copy takes
BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class RolloutBuffer:
    """The newest step's groups in `folder/step-NNNNNN.parquet`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, number: int, sampled_by: Mapping[str, str]) -> list[Group] | None:
        """The groups of the step, if they are there and were sampled by just this."""
        path = self._path(number)
        if not path.is_file():
            return None
        found = pq.read_schema(path).metadata or {}
        if any(found.get(k.encode()) != value.encode() for k, value in sampled_by.items()):
            return None
        return read_records(path, Group)

    def write(self, number: int, groups: Sequence[Group], sampled_by: Mapping[str, str]) -> None:
        """Keep the groups of the step, and forget those of the steps before it."""
        self.folder.mkdir(exist_ok=True)
        path = self._path(number)
        write_records(path, groups, Group, about=sampled_by)
        for other in self.folder.glob("step-*.parquet"):
            if other.name < path.name:
                other.unlink()

    def _path(self, number: int) -> Path:
        return self.folder / f"step-{number:06d}.parquet"


def weights_identity(model: torch.nn.Module) -> str:
    """A hash of the weights' bits, by sums of integers that no order of adding can change."""
    digest = hashlib.sha256()
    for name, weight in model.named_parameters():
        bits = weight.detach().contiguous().view(-1).view(BITS[weight.element_size()])
        sums = torch.stack([part.sum(dtype=torch.int64) for part in bits.split(CHUNK)])
        digest.update(f"{name}{tuple(weight.shape)}{sums.tolist()}".encode())
    return digest.hexdigest()
