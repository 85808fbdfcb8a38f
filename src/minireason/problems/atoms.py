"""The atoms: every arithmetic fact that a worked solution may write as one step.

This file is the one place that says how large a fact a small model has to know by heart. The
worksheet (`scratch`) splits anything larger into atoms, and `facts` writes atoms for pre-training.

| op       | written       | range                                                               |
|----------|---------------|---------------------------------------------------------------------|
| add      | `17+25=42`    | within -199..999; one side at most 99 or a round hundred            |
| sub      | `42-25=17`    | within -199..999; `b` at most 99 or a round hundred, or `a` <= 99   |
| mul      | `7*8=56`      | both up to 12 (any sign), 1-12 * a round ten or hundred, 10 * 1-99  |
| div      | `56/8=7`      | the inverse of `mul`, exact                                         |
| mod      | `17=5*3+2`    | 0 <= a <= 144, divisor 2-12; the step is the remainder              |
| quotient | `17=5*3+2`    | the same line, but the step is the quotient                         |
| square   | `7^2=49`      | up to 20, any sign                                                  |
| sqrt     | `sqrt(49)=7`  | perfect squares up to 400                                           |
| split    | `48=16*3`     | the largest square in a number up to 400, where it is not 1         |
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

LOW, HIGH = -199, 999
TABLE = 12
MOD_HIGH = 144
ROOT_HIGH = 20


@dataclass(frozen=True, slots=True)
class Atom:
    """One fact: `head`, then the value a solver has to find, then `tail`; `near` are likely slips.

    `check` is the inverse fact that re-verifies it, empty where there is none.
    """

    head: str
    value: int
    tail: str = ""
    near: tuple[int, ...] = ()
    check: str = ""

    def __str__(self) -> str:
        return self.shown(self.value)

    def shown(self, value: int) -> str:
        """The fact's line with `value` in place of the true one."""
        return f"{self.head}{value}{self.tail}"


def bracket(n: int) -> str:
    """`n` as an operand: negative numbers in parentheses."""
    return f"({n})" if n < 0 else str(n)


def square_part(n: int) -> int:
    """The largest k such that k*k divides n > 0."""
    return next(k for k in range(math.isqrt(n), 0, -1) if n % (k * k) == 0)


def add(a: int, b: int) -> Atom:
    """`a+b` for b >= 0."""
    value = a + b
    carry = (value - 10,) if a >= 0 and a % 10 + b % 10 > 9 else ()
    sign = (-value,) if value and a < 0 else ()
    return Atom(f"{a}+{b}=", value, "", (*carry, *sign, *_close(value)), f"{value}-{b}={a}")


def sub(a: int, b: int) -> Atom:
    """`a-b` for b >= 0."""
    value = a - b
    borrow = (value + 10,) if a >= b and a % 10 < b % 10 else ()
    sign = (-value,) if value < 0 else ()
    return Atom(f"{a}-{b}=", value, "", (*borrow, *sign, *_close(value)), f"{value}+{b}={a}")


def mul(a: int, b: int) -> Atom:
    """`a*b`."""
    value = a * b
    sign = (-value,) if a < 0 or b < 0 else ()
    check = f"{value}/{bracket(b)}={a}" if b else ""
    return Atom(f"{a}*{bracket(b)}=", value, "", (*sign, value + a, value - a, value + 1), check)


def div(a: int, b: int) -> Atom:
    """`a/b`; only after a slip is it inexact, and then the nearest whole number is written."""
    value = round(a / b)
    sign = (-value,) if a < 0 or b < 0 else ()
    check = f"{value}*{bracket(b)}={a}" if value * b == a else ""
    return Atom(f"{a}/{bracket(b)}=", value, "", (*sign, value + 1, value - 1), check)


def mod(a: int, b: int) -> Atom:
    """`a=b*q+r`, where r is the step's value."""
    q, r = divmod(a, b)
    near = tuple(x for x in (r + 1, r - 1, r + 2) if 0 <= x < b)
    return Atom(f"{a}={b}*{q}+", r, "", near)


def quotient(a: int, b: int) -> Atom:
    """`a=b*q+r`, where q is the step's value."""
    q, r = divmod(a, b)
    return Atom(f"{a}={b}*", q, f"+{r}", (q + 1, *((q - 1,) if q else ())))


def square(a: int, _: int = 2) -> Atom:
    """`a^2`."""
    value = a * a
    far = (value + 10, value - 10) if value >= 20 else ()
    sign = (-value,) if a < 0 else ()
    near = (*sign, *far, value + 1, value + abs(a))
    return Atom(f"{bracket(a)}^2=", value, "", near)


def sqrt(a: int, _: int = 2) -> Atom:
    """`sqrt(a)`; only after a slip is it inexact, and then it is rounded down."""
    value = math.isqrt(a)
    near = (value + 1, value - 1)
    return Atom(f"sqrt({a})=", value, "", near, f"{value}^2={a}" if value * value == a else "")


def split(a: int, _: int = 2) -> Atom:
    """`a=k^2*r` with the largest square; r is the step's value."""
    k = square_part(a)
    return Atom(f"{a}={k * k}*", a // (k * k), "", (a // (k * k) + 1, a // (k * k) + 2))


def _close(value: int) -> tuple[int, ...]:
    far = (value + 10, value - 10) if value >= 20 else ()
    return (value + 1, *((value - 1,) if value != 0 else ()), *far)


def _is_easy(n: int) -> bool:
    return abs(n) <= 99 or n % 100 == 0


def is_add(a: int, b: int) -> bool:
    """Whether `a+b`, b >= 0, is one fact."""
    return b >= 0 and LOW <= a <= HIGH and a + b <= HIGH and (_is_easy(a) or _is_easy(b))


def is_sub(a: int, b: int) -> bool:
    """Whether `a-b`, b >= 0, is one fact."""
    return b >= 0 and LOW <= a <= HIGH and a - b >= LOW and (_is_easy(b) or abs(a) <= 99)


def is_mul(a: int, b: int) -> bool:
    """Whether `a*b` is one fact."""
    if abs(a) <= TABLE and abs(b) <= TABLE:
        return True
    low, high = min(a, b), max(a, b)
    if low < 0 or low * high > HIGH:
        return False
    is_round = high in range(10, 100, 10) or high in range(100, 1000, 100)
    return (low <= TABLE and is_round) or (low == 10 and high <= 99)


def is_div(a: int, b: int) -> bool:
    """Whether `a/b` is one fact."""
    return b != 0 and a % b == 0 and is_mul(a // b, b)


def is_mod(a: int, b: int) -> bool:
    """Whether `a=b*q+r` is one fact."""
    return 2 <= b <= TABLE and 0 <= a <= MOD_HIGH


def is_square(a: int, _: int = 2) -> bool:
    """Whether `a^2` is one fact."""
    return abs(a) <= ROOT_HIGH


def is_sqrt(a: int, _: int = 2) -> bool:
    """Whether `sqrt(a)` is one fact."""
    return 0 <= a <= ROOT_HIGH**2 and math.isqrt(a) ** 2 == a


def is_split(a: int, _: int = 2) -> bool:
    """Whether `a=k^2*r` is one fact."""
    return 0 < a <= ROOT_HIGH**2 and square_part(a) > 1


Write = Callable[[int, int], Atom]
Accept = Callable[[int, int], bool]
ATOMS: dict[str, tuple[Write, Accept]] = {
    "add": (add, is_add),
    "sub": (sub, is_sub),
    "mul": (mul, is_mul),
    "div": (div, is_div),
    "mod": (mod, is_mod),
    "quotient": (quotient, is_mod),
    "square": (square, is_square),
    "sqrt": (sqrt, is_sqrt),
    "split": (split, is_split),
}
