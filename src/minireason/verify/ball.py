"""Complex numbers with a bound on their error, so that rounding never looks like a difference.

A ball is a centre and a radius that holds the exact value. Each operation widens the radius by what
its inputs may be off and by its own rounding. Where a value is not defined, or its error is no
longer small beside it, `UndefinedError` is raised. (First-order error propagation, after Higham,
Accuracy and Stability of Numerical Algorithms, chapter 3, with a wide safety factor.)
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass

_ROUNDING = 1e-15
_LARGEST = 1e150
_MAX_POWER = 10_000


class UndefinedError(ArithmeticError):
    """There is no value here, or none that can be told from its error."""


@dataclass(frozen=True, slots=True)
class Ball:
    """All numbers within `radius` of `centre`."""

    centre: complex
    radius: float = 0.0

    @property
    def is_real(self) -> bool:
        return abs(self.centre.imag) <= self.radius

    def __add__(self, other: Ball) -> Ball:
        return _ball(self.centre + other.centre, self.radius + other.radius)

    def __neg__(self) -> Ball:
        return Ball(-self.centre, self.radius)

    def __mul__(self, other: Ball) -> Ball:
        a, b = abs(self.centre), abs(other.centre)
        error = a * other.radius + b * self.radius + self.radius * other.radius
        return _ball(self.centre * other.centre, error)

    def __truediv__(self, other: Ball) -> Ball:
        return self * other.inverse()

    def inverse(self) -> Ball:
        """One over it; undefined where zero is within reach."""
        size = abs(self.centre)
        if size <= 2 * self.radius:
            raise UndefinedError
        return _ball(1 / self.centre, 2 * self.radius / size**2)

    def exp(self) -> Ball:
        if self.centre.real > 300 or self.radius > 0.1:
            raise UndefinedError
        value = cmath.exp(self.centre)
        return _ball(value, 2 * abs(value) * (self.radius + _ROUNDING * abs(self.centre)))

    def log(self) -> Ball:
        """The natural logarithm of a positive number; others have several."""
        return _ball(complex(math.log(self.positive())), 2 * self.radius / abs(self.centre))

    def root(self, degree: int) -> Ball:
        """The principal square root; a higher root only of what is positive or zero."""
        size = abs(self.centre)
        if size == self.radius == 0:
            return self
        if degree == 2 and self.is_real and self.centre.real < -10 * self.radius:
            return _ball(1j * math.sqrt(-self.centre.real), self.radius / math.sqrt(size))
        value = self.positive() ** (1 / degree)
        return _ball(complex(value), 2 * value * self.radius / size)

    def power(self, exponent: Ball) -> Ball:
        """An integer power of anything, any power of a positive number."""
        whole = round(exponent.centre.real)
        if exponent.radius == 0 and exponent.centre == whole:
            return self._integer_power(whole)
        return (exponent * self.log()).exp()

    def _integer_power(self, exponent: int) -> Ball:
        if abs(exponent) > _MAX_POWER or (exponent == 0 and abs(self.centre) <= self.radius):
            raise UndefinedError
        result, factor, left = Ball(1 + 0j), self, abs(exponent)
        while left:
            if left % 2:
                result = result * factor
            left //= 2
            factor = factor * factor if left else factor
        return result.inverse() if exponent < 0 else result

    def positive(self) -> float:
        """The real value, which is surely above zero."""
        if not self.is_real or self.centre.real <= 10 * self.radius:
            raise UndefinedError
        return self.centre.real


def _ball(centre: complex, error: float) -> Ball:
    """The result of one operation: its rounding is added, what is too large is refused."""
    size = abs(centre)
    if not size < _LARGEST or not error < _LARGEST:
        raise UndefinedError
    return Ball(centre, error + 4 * _ROUNDING * size)
