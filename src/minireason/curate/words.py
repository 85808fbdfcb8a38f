"""A text as an array of word hashes, made without a Python object a word.

A digit or a sign is a word, and a run of letters is cut at 16, so that a loop without white space
is seen as well: the words of `re.findall(r"\\d|[^\\W\\d]{1,16}|[^\\w\\s]", text)`.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
CodePoints = npt.NDArray[np.uint8] | npt.NDArray[np.uint32]

MAX_LETTERS = 16
_SPACE, _SIGN, _LETTER = 0, 1, 2
_LETTERS = re.compile(r"[^\W\d]")

_random = np.random.default_rng(16)
# The weight of a character at each place of its word: a multilinear hash, so that two different
# words hardly ever share a hash. Place 16 is white space behind a long word.
_PLACE_WEIGHTS = _random.integers(1, 2**63, MAX_LETTERS + 1, dtype=np.uint64) * np.uint64(2) + 1
_MIX = np.uint64(0x9E3779B97F4A7C15)


def code_points(text: str) -> CodePoints:
    """The code points of a text: uint8 where it is ASCII, else uint32."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), dtype=np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")


def word_hashes(text: str) -> Hashes:
    """One 64-bit hash a word, in the text's order; equal words have equal hashes."""
    points = code_points(text)
    kinds = _kinds(points)
    starts = _word_starts(kinds)
    if not len(starts):
        return np.empty(0, dtype=np.uint64)
    points, kinds = points[starts[0] :], kinds[starts[0] :]
    starts -= starts[0]
    places = np.arange(len(points), dtype=np.int32)
    places -= np.repeat(starts, np.diff(starts, append=len(points)).astype(np.int32))
    np.minimum(places, MAX_LETTERS, out=places)
    # Space is worth nothing, so that a word's hash does not depend on what follows it.
    values = (points + np.uint64(1)) * (kinds != _SPACE)
    hashes = np.add.reduceat(values * _PLACE_WEIGHTS.take(places), starts)
    return (hashes ^ (hashes >> np.uint64(29))) * _MIX


def _kind(character: str) -> int:
    if character.isspace():
        return _SPACE
    return _LETTER if _LETTERS.match(character) else _SIGN


_ASCII_KINDS = np.array([_kind(chr(point)) for point in range(128)], dtype=np.uint8)


def _kinds(points: CodePoints) -> npt.NDArray[np.uint8]:
    if points.dtype == np.uint8:
        return _ASCII_KINDS.take(points)
    kinds = _ASCII_KINDS.take(np.minimum(points, 127))
    (others,) = np.nonzero(points > 127)
    distinct, inverse = np.unique(points[others], return_inverse=True)
    kinds[others] = np.array([_kind(chr(p)) for p in distinct], dtype=np.uint8)[inverse]
    return kinds


def _word_starts(kinds: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Where words begin: at every sign, at the first of a run of letters, and at each 16th."""
    is_letter = kinds == _LETTER
    is_start = kinds != _SPACE
    is_start[1:] &= ~(is_letter[1:] & is_letter[:-1])
    starts = np.flatnonzero(is_start).astype(np.int32)
    ends = np.flatnonzero(is_letter[:-1] & ~is_letter[1:]) + 1
    if len(is_letter) and is_letter[-1]:
        ends = np.append(ends, len(kinds))
    firsts = starts[is_letter[starts]]
    long = ends - firsts > MAX_LETTERS
    if not long.any():
        return starts
    cuts = [np.arange(a, b, MAX_LETTERS) for a, b in zip(firsts[long], ends[long], strict=True)]
    return np.unique(np.concatenate([starts, *cuts])).astype(np.int32)
