"""Rewards: what a response is worth, each a pure function of one judged response.

To add one, write `NAME.py`, a line in `REWARDS`, and its name in `REWARDS` of
`recipe/reinforcement.py`, by which a recipe is checked; a user's own needs none of it
(`custom.py`).
"""

from __future__ import annotations

import difflib

from minireason.errors import RecipeError
from minireason.rl.rewards.correct import correct
from minireason.rl.rewards.custom import load_reward
from minireason.rl.rewards.format import format_
from minireason.rl.rewards.length import length
from minireason.rl.rewards.overlong import overlong
from minireason.rl.rewards.repetition import repetition
from minireason.rl.rewards.response import JudgedResponse, Response, Reward

__all__ = ["REWARDS", "JudgedResponse", "Response", "Reward", "find_reward"]

REWARDS: dict[str, Reward] = {
    "correct": correct,
    "format": format_,
    "length": length,
    "repetition": repetition,
    "overlong": overlong,
}


def find_reward(name: str) -> Reward:
    """A reward by its name in REWARDS or by where a function is; RecipeError if there is none."""
    if ":" in name:
        return load_reward(name)
    if name not in REWARDS:
        nearest = difflib.get_close_matches(name, REWARDS, 1, cutoff=0)[0]
        raise RecipeError(
            f"there is no reward {name!r}; the nearest is {nearest!r}, and a function of your own "
            "is 'package.module:function' or 'path/file.py:function'"
        )
    return REWARDS[name]
