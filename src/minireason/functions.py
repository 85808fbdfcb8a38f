"""A function of the user's own, named `package.module:function` or `path/file.py:function`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def load_function(name: str) -> Any:
    """What the name says, whatever it is; modules in the working folder are found.

    Raises whatever the user's module raises, and what Python does where there is none.
    """
    place, _, function = name.rpartition(":")
    if place.endswith(".py"):
        return getattr(_from_file(Path(place)), function)
    if (folder := str(Path.cwd())) not in sys.path:
        sys.path.append(folder)
    return getattr(importlib.import_module(place), function)


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path} (seen from {Path.cwd()})")
    spec = importlib.util.spec_from_file_location(f"minireason_own_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass in the file looks itself up there
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[spec.name]
        raise
    return module
