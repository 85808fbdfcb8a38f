"""Exact equality of sums of monomials: `12x^3-35`, `2\\sqrt{3}`, `\\frac{5\\pi}{6}`, `x^{-2}`.

Most expression answers are of this form, and a dictionary decides in microseconds what takes a
computer algebra system a tenth of a second. Monomials in different variables, powers of pi and
roots of different squarefree integers are linearly independent over the rationals, so two sums
that differ here differ. A denominator is one monomial without i. What is not of this form is read
as None and left to the layers after this one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

Monomial = tuple[tuple[str, int], ...]
"""Factors with exponents in name order; a squarefree root is a factor `\\sqrt` to that "power"."""
Polynomial = dict[Monomial, Fraction]

MAX_LENGTH = 200
MAX_EXPONENT = 20
MAX_DIGITS = 1_000
MAX_RADICAND = 10_000
MAX_DEPTH = 4
ROOT = "\\sqrt"

_TOKEN = re.compile(
    r"(?P<number>[0-9]+)|(?P<name>\\pi(?![a-zA-Z])|[a-zA-Z])|(?P<root>\\sqrt)|(?P<fraction>\\frac)"
    r"|(?P<power>\^)|(?P<times>\*|\\cdot|\\times)|(?P<sign>[+-])|(?P<open>\{)|(?P<close>\})"
    r"|(?P<over>/)"
)


class _UnreadableError(ValueError):
    pass


def read_polynomial(text: str) -> Polynomial | None:
    """The sum of monomials a normalised answer says, without zero terms; None where it does not."""
    if len(text) > MAX_LENGTH:
        return None
    try:
        reader = _Reader(list(_tokens(text.replace(" ", ""))))
        value = reader.sum(0)
        reader.expect_end()
    except _UnreadableError:
        return None
    return value


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _UnreadableError
        yield str(match.lastgroup), match.group()
        position = match.end()


class _Reader:
    """Recursive descent over the tokens: sum -> term -> factor."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens = [*tokens, ("end", "")]
        self.place = 0

    def sum(self, depth: int) -> Polynomial:
        """`[sign] term (sign term)*`."""
        if depth > MAX_DEPTH:
            raise _UnreadableError
        total: Polynomial = {}
        sign = 1
        if self._kind() == "sign":
            sign = self._sign()
        _add(total, self._term(depth), sign)
        while self._kind() == "sign":
            sign = self._sign()
            _add(total, self._term(depth), sign)
        return total

    def expect_end(self) -> None:
        self._take("end")

    def _term(self, depth: int) -> Polynomial:
        product = self._factor(depth)
        last_was_letter = self._was_letter()
        while self._kind() in ("number", "name", "root", "fraction", "times", "over"):
            if self._kind() == "over":
                self._take("over")
                product = _divide(product, {(): Fraction(int(self._take("number")))})
                if self._kind() in ("number", "name", "root", "fraction", "power"):
                    raise _UnreadableError  # `1/2x` is said of both x/2 and 1/(2x)
                continue
            is_explicit = self._kind() == "times"
            if is_explicit:
                self._take("times")
            elif self._kind() == "number" or (last_was_letter and self._kind() == "name"):
                raise _UnreadableError  # `x2`, and letters in a row, which may be a word or a unit
            product = _multiply(product, self._factor(depth))
            last_was_letter = self._was_letter()
        return product

    def _factor(self, depth: int) -> Polynomial:
        kind = self._kind()
        if kind == "number":
            return {(): _integer_power(int(self._take("number")), self._exponent(MAX_DIGITS))}
        if kind == "name":
            name = self._take("name")
            exponent = self._exponent(MAX_EXPONENT)
            if name == "i" and exponent != 1:
                raise _UnreadableError
            return {((name, exponent),): Fraction(1)} if exponent else {(): Fraction(1)}
        if kind == "root":
            self._take("root")
            return _root(self._braced_integer())
        if kind == "fraction":
            self._take("fraction")
            self._take("open")
            above = self.sum(depth + 1)
            self._take("close")
            self._take("open")
            below = self.sum(depth + 1)
            self._take("close")
            return _divide(above, below)
        raise _UnreadableError

    def _exponent(self, largest: int) -> int:
        if self._kind() != "power":
            return 1
        self._take("power")
        is_plain = self._kind() == "number" and len(self.tokens[self.place][1]) == 1
        exponent = int(self._take("number")) if is_plain else self._braced_integer()
        if abs(exponent) > largest:
            raise _UnreadableError
        return exponent

    def _braced_integer(self) -> int:
        self._take("open")
        sign = self._sign() if self._kind() == "sign" else 1
        value = sign * int(self._take("number"))
        self._take("close")
        return value

    def _sign(self) -> int:
        return 1 if self._take("sign") == "+" else -1

    def _was_letter(self) -> bool:
        return self.tokens[self.place - 1][0] == "name"

    def _kind(self) -> str:
        return self.tokens[self.place][0]

    def _take(self, kind: str) -> str:
        found, text = self.tokens[self.place]
        if found != kind:
            raise _UnreadableError
        self.place += 1
        return text


def _root(radicand: int) -> Polynomial:
    """The square root of an integer as a rational times a squarefree root."""
    if not 0 < radicand <= MAX_RADICAND:
        raise _UnreadableError
    outside, divisor = 1, 2
    while divisor * divisor <= radicand:
        if radicand % (divisor * divisor) == 0:
            radicand //= divisor * divisor
            outside *= divisor
        else:
            divisor += 1
    return {((ROOT, radicand),) if radicand > 1 else (): Fraction(outside)}


def _add(total: Polynomial, other: Polynomial, sign: int) -> None:
    for monomial, coefficient in other.items():
        value = total.pop(monomial, Fraction(0)) + sign * coefficient
        if value:
            total[monomial] = value


def _multiply(left: Polynomial, right: Polynomial) -> Polynomial:
    product: Polynomial = {}
    for a, x in left.items():
        for b, y in right.items():
            exponents, scale = dict(a), Fraction(x * y)
            for name, exponent in b:
                if name == ROOT and ROOT in exponents:
                    ((root, outside),) = _root(exponents.pop(ROOT) * exponent).items()
                    exponents.update(root)
                    scale *= outside
                elif name == "i" and name in exponents:
                    raise _UnreadableError
                else:
                    is_root = name == ROOT
                    total = exponent + (0 if is_root else exponents.pop(name, 0))
                    exponents.update({name: total} if total else {})
            _add(product, {tuple(sorted(exponents.items())): scale}, 1)
    return product


def _divide(value: Polynomial, divisor: Polynomial) -> Polynomial:
    """By one monomial; one over a root of n is that root over n."""
    if len(divisor) != 1:
        raise _UnreadableError
    ((factors, coefficient),) = divisor.items()
    scale, inverse = 1 / coefficient, []
    for name, exponent in factors:
        if name == "i":
            raise _UnreadableError
        inverse.append((name, exponent if name == ROOT else -exponent))
        scale /= exponent if name == ROOT else 1
    return _multiply(value, {tuple(inverse): scale})


def _integer_power(base: int, exponent: int) -> Fraction:
    """Refuses what would have too many digits, which would also take long."""
    if (exponent < 0 and base == 0) or abs(exponent) * len(str(base)) > MAX_DIGITS:
        raise _UnreadableError
    return Fraction(base) ** exponent
