"""The tensors of a safetensors folder as NumPy arrays, without torch, one at a time.

NumPy has no bfloat16, so the bytes are read by the format's own rules: eight bytes of length, a
JSON header, the data (https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from minireason.errors import ExportError, MissingError
from minireason.runfolder import read_json

Floats = NDArray[np.float32]

_DTYPES = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_INDEX = "model.safetensors.index.json"


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor on disk; `dtype` is F32, F16 or BF16."""

    file: Path
    offset: int
    dtype: str
    shape: tuple[int, ...]

    def read(self) -> Floats:
        """Its values as float32, which holds all three types exactly."""
        count = math.prod(self.shape)
        stored = np.fromfile(self.file, _DTYPES[self.dtype], count, offset=self.offset)
        if self.dtype == "BF16":
            return (stored.astype(np.uint32) << 16).view(np.float32).reshape(self.shape)
        return stored.astype(np.float32, copy=False).reshape(self.shape)


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of a model folder, by name.

    Raises MissingError where a file is not there, ExportError for another type of number.
    """
    tensors = {name: each for file in weight_files(folder) for name, each in _header(file)}
    for name, each in tensors.items():
        if each.dtype not in _DTYPES:
            raise ExportError(
                f"{name} in {each.file} has numbers of type {each.dtype}; only {', '.join(_DTYPES)}"
                " can be exported, so export the model that this one was quantised from"
            )
    return tensors


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder; raises MissingError where one is not there."""
    index = folder / _INDEX
    if not index.is_file():
        names = ["model.safetensors"]
    else:
        where: Mapping[str, str] = read_json(index)["weight_map"]
        names = sorted(set(where.values()))
    for name in names:
        if not (folder / name).is_file():
            raise MissingError(f"{folder} has no {name}: is it a whole model?")
    return [folder / name for name in names]


def _header(file: Path) -> Iterator[tuple[str, StoredTensor]]:
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(length))
    for name, each in header.items():
        if name != "__metadata__":
            begin = 8 + length + each["data_offsets"][0]
            yield name, StoredTensor(file, begin, each["dtype"], tuple(each["shape"]))
