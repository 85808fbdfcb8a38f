"""How much of a response is written in a script that its question does not use."""

from __future__ import annotations

_FIRST_BEYOND_GREEK = "\u0400"  # before it: Latin, and Greek, which mathematics uses everywhere


def foreign_share(response: str, question: str) -> float:
    """Share of the letters beyond Latin and Greek; 0 where the question has such letters too."""
    if response.isascii() or any(_is_foreign(c) for c in question):
        return 0.0
    letters = [c for c in response if c.isalpha()]
    return sum(map(_is_foreign, letters)) / max(1, len(letters))


def _is_foreign(character: str) -> bool:
    return character >= _FIRST_BEYOND_GREEK and character.isalpha()
