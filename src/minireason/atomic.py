"""Files that appear whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside to write to; it becomes `path` once nothing has gone wrong."""
    partial = path.with_name(path.name + ".partial")
    yield partial
    partial.replace(path)
