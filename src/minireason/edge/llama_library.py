"""llama.cpp's library, which says nothing on standard error but keeps what went wrong."""

from __future__ import annotations

from collections import deque
from ctypes import c_void_p
from pathlib import Path
from typing import Any

from llama_cpp import llama_cpp

from minireason.errors import MissingError

library: Any = llama_cpp
"""llama.h as Python functions."""

_ERROR = 4  # GGML_LOG_LEVEL_ERROR of ggml.h
_errors: deque[str] = deque(maxlen=2)  # the last one may say no more than that it failed


def _keep_errors(level: int, text: bytes, _: Any) -> None:
    if level == _ERROR:
        _errors.append(text.decode("utf-8", "replace").strip())


_LOG = library.llama_log_callback(_keep_errors)  # llama.cpp calls it for as long as it runs


def quiet_library() -> None:
    """Start the library and keep its log from the terminal."""
    library.llama_log_set(_LOG, c_void_p(0))
    library.llama_backend_init()


def load_model(file: Path, *, vocab_only: bool = False) -> Any:
    """A pointer to the model; raises MissingError where llama.cpp cannot load it.

    On CPUs with AMX llama.cpp multiplies quantised matrices without it: built by GCC 12, whose
    `_tile_loadconfig` loses the configuration it is given, that would end the process.
    """
    quiet_library()
    _errors.clear()
    params = library.llama_model_default_params()
    params.vocab_only = vocab_only
    if _has_amx():
        params.use_extra_bufts = False
    model = library.llama_model_load_from_file(bytes(file), params)
    if not model:
        raise MissingError(f"llama.cpp cannot load {file}: {last_error()}; export it again")
    return model


def last_error() -> str:
    """What llama.cpp last said of an error, once."""
    said = "; ".join(_errors)
    _errors.clear()
    return said or "it gave no reason"


def _has_amx() -> bool:
    path = Path("/proc/cpuinfo")
    return path.is_file() and " amx_tile" in path.read_text(encoding="utf-8")
