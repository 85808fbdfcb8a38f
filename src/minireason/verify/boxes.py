"""What stands in the boxes of a response, read from its end in linear time."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

_MAX_BOXES = 20
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"[ \t]+(-?[^\s${}\\]+|\\[a-zA-Z]+)")
_OPENING = re.compile(r"\s*\{")
_BOX_GAP = re.compile(r"(?:[^.\n]{0,40}\b)?(?:and|or)$|[,;]?$")
_GAP_NOISE = re.compile(r"\\(?:text\w*|mbox|quad|qquad|[,;:! ()\[\]])|[${}~\s]")


class UnclosedBoxError(ValueError):
    """The last box of a text does not end: the response was cut off in it."""


def last_box(text: str) -> str | None:
    """The last box, joined with those it is listed with: `\\boxed{1}` and `\\boxed{2}`.

    None where there is no box. Raises `UnclosedBoxError` where the last one does not end.
    """
    boxes = _box_names(text)
    start, end = next(boxes, (-1, -1))
    if start < 0:
        return None
    content = _box_content(text, end, len(text))
    if content is None:
        raise UnclosedBoxError
    contents = [content[0].strip()]
    for before, end in itertools.islice(boxes, _MAX_BOXES):
        earlier = _box_content(text, end, start)
        if earlier is None or not _is_listing(text[earlier[1] : start]):
            break
        contents.insert(0, earlier[0].strip())
        start = before
    return ", ".join(dict.fromkeys(c for c in contents if c))


def _box_names(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of `\\boxed`, `\\fbox` and `boxed` before a brace, the last one first."""
    end = len(text)
    while (found := text.rfind("box", 0, end)) >= 0:
        end = found
        if text.startswith("boxed", found):
            is_command = text[max(0, found - 1) : found] == "\\"
            if is_command or text.startswith("boxed{", found):
                yield found - is_command, found + 5
        elif text[max(0, found - 2) : found] == "\\f":
            yield found - 2, found + 3


def _box_content(text: str, start: int, end: int) -> tuple[str, int] | None:
    """What a box holds and where it ends; None if it does not close before `end`."""
    bare = _BARE_BOX.match(text, start, end)
    if bare:
        return bare[1].rstrip(".,;"), bare.end()
    opening = _OPENING.match(text, start, end)
    if opening is None:
        return None
    depth = 1
    for brace in _braces(text, opening.end(), end):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[opening.end() : brace.start()], brace.end()
    return None


def _braces(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    return (m for m in _BRACE.finditer(text, start, end) if m[0] in "{}")


def _is_listing(gap: str) -> bool:
    return len(gap) <= 80 and bool(_BOX_GAP.match(_GAP_NOISE.sub(" ", gap).rstrip(" \\").strip()))
