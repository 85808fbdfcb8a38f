"""A reward of the user's own: a Python function, named by its module or its file.

It takes `(question, response, answer)`, three texts, or one `JudgedResponse`, and returns a finite
number. Whatever goes wrong in it is an error that names the function and the question.
"""

from __future__ import annotations

import importlib
import inspect
import math
import traceback
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import Any

from minireason import functions
from minireason.errors import MinireasonError, RecipeError
from minireason.functions import load_function
from minireason.rl.rewards.response import JudgedResponse, Reward

_TEXTS = ("question", "response", "answer")
_SHOWN = 80


def load_reward(name: str) -> Reward:
    """The function by its name; RecipeError if it cannot be imported or called as a reward."""
    try:
        function = load_function(name)
    except Exception as error:  # the user's module may raise anything
        raise RecipeError(
            f"the reward {name!r} cannot be loaded: {_told(error)}; a reward of your own is "
            "'package.module:function' or 'path/file.py:function'"
        ) from error
    return _as_reward(name, function)


def _as_reward(name: str, function: Any) -> Reward:
    call = _calling(name, function)

    def reward(response: JudgedResponse) -> float:
        asked = " ".join(response.question.split())[:_SHOWN]
        try:
            value = call(response)
            number = float(value) if isinstance(value, Real) else math.nan
        except Exception as error:  # the user's function may raise anything
            raise MinireasonError(
                f"the reward {name!r} raised {_told(error)} on the question {asked!r}; "
                "mend it and start again: what is finished is kept"
            ) from error
        if not math.isfinite(number):
            raise MinireasonError(
                f"the reward {name!r} returned {value!r} on the question {asked!r}; "
                "it must return a finite number"
            )
        return number

    return reward


def _calling(name: str, function: Any) -> Callable[[JudgedResponse], Any]:
    """How to call it; RecipeError if it takes neither the three texts nor one response."""
    allowed = f"it must be a function of ({', '.join(_TEXTS)}) or of one JudgedResponse"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"the reward {name!r} is {function!r}; {allowed}") from error
    if _fits(signature, **dict.fromkeys(_TEXTS)):
        return lambda r: function(question=r.question, response=r.text, answer=r.answer)
    if _fits(signature, None):
        return lambda r: function(r)
    raise RecipeError(f"the reward {name!r} takes {signature}; {allowed}")


def _fits(signature: inspect.Signature, *args: Any, **kwargs: Any) -> bool:
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _told(error: Exception) -> str:
    """An exception on one line, with the line of the user's file that raised it."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    *_, last = traceback.extract_tb(error.__traceback__)
    ours = (__file__, functions.__file__, importlib.__file__)
    is_theirs = last.filename not in ours and last.filename[0] != "<"
    return f"{text} ({Path(last.filename).name}, line {last.lineno})" if is_theirs else text
