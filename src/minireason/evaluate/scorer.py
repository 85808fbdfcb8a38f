"""A score of the user's own, for the best of n.

It is a function of the question and all its responses, as texts, that gives a number for each:
`score(question, responses) -> [...]`, so that a reward model can take them in one batch.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from minireason.errors import SamplingError
from minireason.functions import load_function
from minireason.runfolder import file_hash


@dataclass(frozen=True)
class Scorer:
    """`name` as the user gave it; `code` is the hash of the file the function stands in."""

    name: str
    code: str
    score: Callable[[str, tuple[str, ...]], list[float]]

    def __call__(self, question: str, responses: Sequence[str]) -> list[float]:
        """A number for each response; the higher, the better. The same ones are scored once."""
        return self.score(question, tuple(responses))


def open_scorer(name: str) -> Scorer:
    """The user's function as `module:function` or `path/file.py:function`.

    Raises SamplingError for what cannot be loaded; what the function gives is checked when it is
    called.
    """
    try:
        found = load_function(name)
    except Exception as error:  # the user's module may raise anything
        raise SamplingError(
            f"the score {name!r} cannot be loaded ({type(error).__name__}: {error}); one of your "
            "own is module:function or path/file.py:function"
        ) from error

    @functools.cache  # every size of a scaling asks again
    def score(question: str, responses: tuple[str, ...]) -> list[float]:
        given = [float(value) for value in found(question, list(responses))]
        if len(given) != len(responses) or not all(map(math.isfinite, given)):
            raise SamplingError(
                f"{name} gave {given} for {len(responses)} responses; it must give a finite number "
                "for each"
            )
        return given

    return Scorer(name, _code_hash(found), score)


def _code_hash(function: object) -> str:
    """Empty for what has no file, as a function built into Python."""
    try:
        return file_hash(Path(inspect.getfile(inspect.unwrap(function))))  # type: ignore[arg-type]
    except (TypeError, OSError):
        return ""
