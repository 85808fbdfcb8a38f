"""How numbers and expressions are written in questions and answers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from minireason.records import AnswerKind


def signed(n: int) -> str:
    """`n` as a later term of a sum: `+3`, `-4`."""
    return f"{n:+d}"


def fraction(n: int, d: int) -> str:
    r"""A reduced fraction as an answer: `3`, `\frac{3}{4}`, `-\frac{3}{4}`."""
    if d == 1:
        return str(n)
    return f"{'-' if n < 0 else ''}\\frac{{{abs(n)}}}{{{d}}}"


def polynomial(coefficients: Sequence[int], symbol: str = "x", star: str = "") -> str:
    """The polynomial with these coefficients, highest power first: `3x^2-x+5`."""
    out = ""
    for power, c in zip(range(len(coefficients) - 1, -1, -1), coefficients, strict=True):
        if c:
            body = "" if power == 0 else symbol if power == 1 else f"{symbol}^{power}"
            number = str(abs(c)) if abs(c) != 1 or not body else ""
            joint = star if number and body else ""
            out += f"{'-' if c < 0 else '+' if out else ''}{number}{joint}{body}"
    return out or "0"


def multiple(n: int, symbol: str) -> str:
    r"""`n` times a symbol: `12\pi`, `\sqrt{3}`, `0`."""
    if n == 0:
        return "0"
    return f"{ {1: '', -1: '-'}.get(n, n) }{symbol}".replace(" ", "")


def root(k: int, r: int) -> str:
    r"""k*sqrt(r): `5`, `\sqrt{3}`, `2\sqrt{3}`."""
    return str(k) if r == 1 else multiple(k, f"\\sqrt{{{r}}}")


def kind_of(answer: str) -> AnswerKind:
    """The answer kind that a canonical answer string shows."""
    if re.fullmatch(r"-?\d+", answer):
        return "integer"
    if re.fullmatch(r"-?\\frac\{\d+\}\{\d+\}", answer):
        return "fraction"
    return "tuple" if answer.startswith("(") else "expression"
