"""Which scripts a text is written in: reasoning models drift into another language than asked.

Scripts tell languages apart only where the scripts differ: French in an English answer is not
seen. Greek letters, letter-like symbols and mathematical alphabets are mathematics and count as
nothing, wherever they stand. So do Latin letters where the question is in another script, since
every formula is full of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from minireason.curate.words import code_points

_MATHS = "mathematics"
# First code points of blocks and what a letter from there on belongs to. Chinese, Japanese and
# Korean are one, since one text may mix their characters.
_BLOCKS: tuple[tuple[int, str], ...] = (
    (0x0000, "latin"),
    (0x0370, _MATHS),  # Greek
    (0x0400, "cyrillic"),
    (0x0530, "armenian"),
    (0x0590, "hebrew"),
    (0x0600, "arabic"),
    (0x0900, "indic"),  # Devanagari to Sinhala
    (0x0E00, "thai"),
    (0x0E80, "other"),
    (0x1100, "cjk"),  # Hangul
    (0x1200, "other"),
    (0x1C80, "cyrillic"),
    (0x1C90, "other"),
    (0x1D00, "latin"),  # phonetic letters
    (0x1E00, "latin"),
    (0x1F00, _MATHS),  # Greek with accents
    (0x2000, _MATHS),  # superscripts, letter-like symbols, signs
    (0x2C00, "other"),
    (0x2E80, "cjk"),
    (0xA000, "other"),
    (0xA640, "cyrillic"),
    (0xA6A0, "other"),
    (0xAC00, "cjk"),  # Hangul
    (0xD7FC, "other"),
    (0xF900, "cjk"),
    (0xFB00, "latin"),  # ligatures
    (0xFB13, "other"),
    (0xFB1D, "hebrew"),
    (0xFB50, "arabic"),
    (0xFE00, "other"),
    (0xFE70, "arabic"),
    (0xFEFF, "other"),
    (0xFF21, "latin"),  # full width
    (0xFF66, "cjk"),
    (0x10000, "other"),
    (0x1D400, _MATHS),
    (0x1D800, "other"),
    (0x20000, "cjk"),
    (0x32000, "other"),
)
_STARTS = np.array([start for start, _ in _BLOCKS], dtype=np.uint32)
_FORMULA = re.compile(r"\$[^$]*\$|\\[A-Za-z]+|(?<![A-Za-z])[A-Za-z](?![A-Za-z])")


def letters_by_script(text: str) -> dict[str, int]:
    """How many letters of each script a text has, by the script's name; mathematics left out."""
    points = code_points(text)
    is_ascii = points < 128
    lower = points[is_ascii] | 0x20
    counts = {"latin": int(np.count_nonzero((lower >= ord("a")) & (lower <= ord("z"))))}
    distinct, times = np.unique(points[~is_ascii], return_counts=True)
    blocks = np.searchsorted(_STARTS, distinct, side="right") - 1
    for point, num, block in zip(distinct.tolist(), times.tolist(), blocks.tolist(), strict=True):
        script = _BLOCKS[block][1]
        if script != _MATHS and chr(point).isalpha():
            counts[script] = counts.get(script, 0) + num
    return {script: num for script, num in counts.items() if num}


def dominant_script(text: str) -> str:
    """The script of most letters outside formulas; "latin" where there are none."""
    counts = letters_by_script(_FORMULA.sub(" ", text))
    return max(counts, key=lambda script: counts[script], default="latin")


def other_script_share(text: str, script: str = "latin") -> float:
    """Share of a text's letters in another script than `script`, that of the question, 0 to 1."""
    if text.isascii():
        return 0.0
    return _other_share(letters_by_script(text), script)


def _other_share(counts: Mapping[str, int], script: str) -> float:
    foreign = sum(num for name, num in counts.items() if name not in (script, "latin"))
    total = foreign + counts.get(script, 0)
    return foreign / total if total else 0.0


def foreign_share(response: str, question: str) -> float:
    """Share of a response's letters in another script than its question's, 0 to 1."""
    return 0.0 if response.isascii() else other_script_share(response, dominant_script(question))
