"""Read a normalised answer: exact rationals, and the tuples, sets, intervals and matrices of them.

An `Answer` is a tree. Its leaves are strings; what a string means beyond a rational number is for
the symbolic layer. Reading never fails: what has no structure is a leaf.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

Shape = Literal["leaf", "list", "set", "group", "union", "matrix"]

_MAX_DEPTH = 12
_MAX_EXPONENT = 400
_DECIMAL = r"(?:\d+(?:\.\d*)?|\.\d+)"
_NUMBER = re.compile(rf"[+-]?{_DECIMAL}")
_QUOTIENT = re.compile(
    rf"([+-]?)(?:\\frac\{{([+-]?{_DECIMAL})\}}\{{([+-]?{_DECIMAL})\}}|({_DECIMAL})/({_DECIMAL}))"
)
_MIXED = re.compile(r"([+-]?)(\d+)\\frac\{(\d+)\}\{(\d+)\}")
_REPEATING = re.compile(r"([+-]?)(\d*)\.(\d*)\\(?:overline|bar)\{(\d+)\}")
_SCIENTIFIC = re.compile(rf"([+-]?{_DECIMAL})(?:[eE]|\*10\^)\{{?([+-]?\d+)\}}?")
_BASED = re.compile(r"(-?)([0-9][0-9A-Za-z]*)_(?:\{(\d{1,2})\}|(\d))")
_NAME = r"\\?[a-zA-Z]+'?(?:_(?:\{\w+\}|\w))?(?:\((?:\w|\\[a-z]+)\))?"
_NAMES = re.compile(rf"{_NAME}|\({_NAME}(?:,{_NAME})*\)|{_NAME}:{_NAME}")
_MATRIX = re.compile(r"\\begin\{([pbvBV]?matrix)\}(.*)\\end\{\1\}", re.DOTALL)
_RATIO = re.compile(r"[^:=]+(?::[^:=]+)+")
_OPENING = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One node: `shape` says how `items` compare, `text` is the source, `name` what it names.

    A list (`1,2`), a set and a union have no order; a group keeps order and its two brackets. A
    ratio is a group too: `1:2` is not `2:4`, since `12:00` may be a time.
    """

    text: str
    shape: Shape = "leaf"
    items: tuple[Answer, ...] = ()
    brackets: str = ""
    name: str = ""


def read_rational(text: str) -> Fraction | None:
    """The exact value of an integer, decimal, fraction, mixed or scientific number, else None.

    A trailing percent sign divides by 100. `2\\frac{1}{3}` is two and a third; with an improper
    fraction the juxtaposition is ambiguous and is not read here.
    """
    if text.endswith("%"):
        value = None if text.endswith("%%") else read_rational(text[:-1])
        return None if value is None else value / 100
    while text.startswith("{") and text.endswith("}") and text.count("{") == 1:
        text = text[1:-1]
    if _NUMBER.fullmatch(text):
        return Fraction(text)
    if match := _QUOTIENT.fullmatch(text):
        top, bottom = Fraction(match[2] or match[4]), Fraction(match[3] or match[5])
        return None if bottom == 0 else _signed(match[1], top / bottom)
    if match := _MIXED.fullmatch(text):
        whole, top, bottom = Fraction(match[2]), Fraction(match[3]), Fraction(match[4])
        return _signed(match[1], whole + top / bottom) if top < bottom else None
    if match := _REPEATING.fullmatch(text):
        start = Fraction(f"{match[2] or 0}.{match[3] or 0}")
        period = Fraction(int(match[4]), 10 ** len(match[4]) - 1)
        return _signed(match[1], start + period / 10 ** len(match[3]))
    match = _SCIENTIFIC.fullmatch(text)
    if match and abs(int(match[2])) <= _MAX_EXPONENT:
        return Fraction(match[1]) * Fraction(10) ** int(match[2])
    return None


def read_based(text: str) -> tuple[int, int] | None:
    """Value and base of an integer such as `4343_6` or `1A_{16}`; None for anything else."""
    match = _BASED.fullmatch(text)
    base = int(match[3] or match[4]) if match else 0
    if match is None or not 2 <= base <= 36:
        return None
    try:
        return int(match[1] + match[2], base), base
    except ValueError:
        return None


def _signed(sign: str, value: Fraction) -> Fraction:
    return -value if sign == "-" else value


def read(text: str, depth: int = 0) -> Answer:
    """The tree of a normalised answer."""
    text = _unwrap(text)
    if depth >= _MAX_DEPTH:
        return Answer(text)
    for separator in (";", ",", r"\cup"):
        parts = split_top(text, separator)
        if len(parts) > 1 and all(parts):
            items = tuple(item for part in parts for item in _expand(part, depth))
            return Answer(text, "union" if separator == r"\cup" else "list", items)
    if r"\pm" in text and not any(c in text for c in "([") and depth < _MAX_DEPTH - 1:
        return Answer(text, "list", _expand(text, depth))
    name, value = _split_name(text)
    if name and value != text:
        inner = read(value, depth + 1)
        return Answer(inner.text, inner.shape, inner.items, inner.brackets, name)
    return _read_brackets(text, depth)


def _expand(part: str, depth: int) -> tuple[Answer, ...]:
    """The one or, for plus-minus, two elements that a part of a list stands for."""
    if r"\pm" not in part:
        return (read(part, depth + 1),)
    signs = ((r"+", r"-"), (r"-", r"+"))
    spelled = (part.replace(r"\pm", a).replace(r"\mp", b) for a, b in signs)
    return tuple(read(re.sub(r"^\+|(?<=[=(])\+", "", s.strip()), depth + 1) for s in spelled)


def _unwrap(text: str) -> str:
    """Without the parentheses or braces around a single element."""
    for _ in range(_MAX_DEPTH):
        if len(text) < 3 or text[0] not in "({" or _closing(text, 0) != len(text) - 1:
            break
        inner = text[1:-1]
        if len(split_top(inner, ",")) > 1 or len(split_top(inner, ";")) > 1:
            break
        text = inner
    return text


def _read_brackets(text: str, depth: int) -> Answer:
    matrix = _MATRIX.fullmatch(text)
    if matrix and r"\begin" not in matrix[2]:
        rows = [row.strip() for row in matrix[2].split("\\\\") if row.strip()]
        brackets = "|" if matrix[1].startswith(("v", "V")) else ""
        return Answer(text, "matrix", tuple(_read_row(row, depth) for row in rows), brackets)
    if _RATIO.fullmatch(text):
        return Answer(text, "group", tuple(read(t, depth + 1) for t in text.split(":")), ":")
    if text.startswith(r"\{") and text.endswith(r"\}"):
        inside = read(text[2:-2], depth + 1)
        return Answer(text, "set", inside.items if inside.shape == "list" else (inside,))
    if len(text) > 2 and text[0] in _OPENING and _closing(text, 0) == len(text) - 1:
        inner = text[1:-1]
        separator = ";" if len(split_top(inner, ";")) > 1 else ","
        parts = split_top(inner, separator)
        if len(parts) > 1 and all(parts):
            if text[0] == "{":
                return Answer(text, "set", tuple(i for p in parts for i in _expand(p, depth)))
            items = tuple(read(part, depth + 1) for part in parts)
            return Answer(text, "group", items, text[0] + text[-1])
    return Answer(text)


def _read_row(row: str, depth: int) -> Answer:
    return Answer(row, "group", tuple(read(cell.strip(), depth + 1) for cell in row.split("&")))


def split_top(text: str, separator: str) -> list[str]:
    """Split where the separator stands outside every bracket; `(1,2]` closes like `(1,2)`."""
    parts, depth, start, index = [], 0, 0, 0
    while index < len(text):
        if text[index] in "([{":
            depth += 1
        elif text[index] in ")]}":
            depth -= 1
        elif depth == 0 and text.startswith(separator, index):
            parts.append(text[start:index].strip())
            index += len(separator) - 1
            start = index + 1
        index += 1
    return [*parts, text[start:].strip()]


def _closing(text: str, start: int) -> int:
    depth = 0
    for index in range(start, len(text)):
        if text[index] in "([{":
            depth += 1
        elif text[index] in ")]}":
            depth -= 1
            if depth == 0:
                return index
    return -1


def _split_name(text: str) -> tuple[str, str]:
    """`x=5` and `5=x` as ("x", "5"), `x\\in A` as ("x", "A"); a chain counts for its last part."""
    text = text.split(r"\approx")[0].strip() or text
    name, _, rest = text.partition(r"\in")
    if rest and not rest.startswith(("f", "t")) and _NAMES.fullmatch(name.strip()):
        return name.strip(), rest.strip()
    parts = split_top(text, "=")
    if len(parts) < 2 or not all(parts):
        return ("~", text) if r"\approx" in text else ("", text)
    if _NAMES.fullmatch(parts[0]):
        return parts[0], parts[-1]
    if len(parts) == 2 and re.fullmatch(_NAME, parts[1]) and read_rational(parts[0]) is not None:
        return parts[1], parts[0]
    return "", text
