"""The worksheet that a solution is written on.

A family's solution calls primitive operations; each returns its value and writes its step line.
A slip returns a plausible wrong value instead, and since the family goes on with what was
returned, the error reaches the final answer as it would on paper. Operations too large for one
fact are split into the facts that `atoms` lists; a product or quotient of several digits after a
line that says how.
"""

from __future__ import annotations

from random import Random

from minireason.problems import atoms
from minireason.problems.atoms import ATOMS
from minireason.problems.notation import fraction

STYLES = ("terse", "plain", "verbose")
MAX_FACTS = 60
_OPENERS = ("Let me work step by step.", "Let me think.", "First I look at what is given.")
_LINKS = ("", "So ", "Next, ", "Then ", "Now ", "This gives ")
_ENDINGS = {
    "terse": ("The answer is",),
    "plain": ("The answer is", "The answer is", "So the answer is"),
    "verbose": ("So the answer is", "Therefore the answer is", "The final answer is"),
}


class DerailedError(Exception):
    """A slip led where the solution cannot go on: a division by zero, an endless search."""


class Scratch:
    """Writes a solution's steps in one style, with at most one slip and one check.

    `slip_at`, `fix_at` and `check_at` count facts from 0: the fact that goes wrong, the one that
    goes wrong and is put right at once, and the one that is re-verified after it is written.
    `is_within_atoms` says whether every fact so far lies in the range that `atoms` gives.
    """

    def __init__(
        self,
        rng: Random,
        style: str = "plain",
        *,
        slip_at: int | None = None,
        fix_at: int | None = None,
        check_at: int | None = None,
    ) -> None:
        self.lines: list[str] = []
        self.num_facts = 0
        self.is_within_atoms = True
        self.style = style
        self._rng = rng
        self._slip_at, self._fix_at, self._check_at = slip_at, fix_at, check_at
        if style == "verbose":
            self.lines.append(rng.choice(_OPENERS))

    def say(self, text: str) -> None:
        """A line that explains; a terse solution leaves it out."""
        if self.style != "terse":
            self.lines.append(text)

    def state(self, text: str) -> None:
        """A line that belongs to the reasoning in every style."""
        self.lines.append(text)

    def tell(self, text: str) -> None:
        """A remark that only a verbose solution makes."""
        if self.style == "verbose":
            self.lines.append(text)

    def finish(self, answer: str) -> str:
        """The whole solution, ending in the boxed answer."""
        ending = self._rng.choice(_ENDINGS[self.style])
        return "\n".join([*self.lines, f"{ending} \\boxed{{{answer}}}."])

    def add(self, a: int, b: int) -> int:
        """a + b."""
        if b < 0:
            return self.sub(a, -b)
        if a < 0 <= b and b > 99 and b % 100:
            return self.sub(b, -a)
        if atoms.is_add(a, b) or b <= 99:
            return self._fact("add", a, b)
        return self._fact("add", self._fact("add", a, b - b % 100), b % 100)

    def sub(self, a: int, b: int) -> int:
        """a - b."""
        if b < 0:
            return self.add(a, -b)
        if atoms.is_sub(a, b) or b <= 99:
            return self._fact("sub", a, b)
        return self._fact("sub", self._fact("sub", a, b - b % 100), b % 100)

    def mul(self, a: int, b: int) -> int:
        """a * b, a factor above the table split by its digits; times 1 needs no line."""
        if 1 in (a, b):
            return a * b
        if atoms.is_mul(a, b):
            return self._fact("mul", a, b)
        sign = -1 if (a < 0) != (b < 0) else 1
        return sign * self._long_mul(max(abs(a), abs(b)), min(abs(a), abs(b)))

    def _long_mul(self, a: int, b: int) -> int:
        if atoms.is_mul(a, b) or b == 10:
            return self._fact("mul", a, b)
        if b > 10:
            a, b = (b, a) if a % 10 == 0 else (a, b)
            tens, ones = b - b % 10, b % 10
            if ones:
                self.state(f"{a}*{b}={a}*{tens}+{a}*{ones}")
            high = self._fact("mul", self.mul(a, tens // 10), 10)
            return self.add(high, self.mul(a, ones)) if ones else high
        unit = 10 ** (len(str(a)) - 1)
        high, rest = a - a % unit, a % unit
        if rest:
            self.state(f"{a}*{b}={high}*{b}+{rest}*{b}")
        product = self._fact("mul", high, b)
        return self.add(product, self.mul(rest, b)) if rest else product

    def div(self, a: int, b: int) -> int:
        """a / b, exact unless an earlier slip made it inexact."""
        if b == 0:
            raise DerailedError("division by zero")
        if a % b or atoms.is_div(a, b):
            return self._fact("div", a, b)
        sign = -1 if (a < 0) != (b < 0) else 1
        a, b = abs(a), abs(b)
        if atoms.is_div(a, b):
            return sign * self._fact("div", a, b)
        if b > atoms.TABLE:
            self.mul(b, a // b)
            return sign * self._fact("div", a, b)
        q = a // b
        high = (q - q % 10 ** (len(str(q)) - 1)) * b
        if a > high:
            self.state(f"{a}/{b}={high}/{b}+{a - high}/{b}")
        first = self._fact("div", high, b)
        return sign * self.add(first, self.div(a - high, b)) if a > high else sign * first

    def divmod(self, a: int, b: int) -> tuple[int, int]:
        """The quotient and the remainder of a by b > 1, from one fact where the numbers allow."""
        if b < 2:
            raise DerailedError("division by zero")
        if a < 0 or not (atoms.is_mod(a, b) or a < b):
            return self._long_divmod(a, b)
        remainder = self._fact("mod", a, b)
        return (a - remainder) // b, remainder

    def _long_divmod(self, a: int, b: int) -> tuple[int, int]:
        q = a // b
        if a > 0 and b <= atoms.TABLE:
            q = 10 * (q // 10)
        rest = self.sub(a, self.mul(b, q))
        if b <= atoms.TABLE and 0 <= rest <= atoms.MOD_HIGH and a > 0:
            more, rest = self.divmod(rest, b)
            q = self.add(q, more) if more else q
        self.state(f"{a}={b}*{atoms.bracket(q)}+{atoms.bracket(rest)}")
        return q, rest

    def mod(self, a: int, b: int) -> int:
        """The remainder of a by b > 1."""
        if b < 2:
            raise DerailedError("division by zero")
        if 0 <= a < b:
            return a
        if a > 0 and b <= atoms.TABLE and not atoms.is_mod(a, b):
            return self.mod(self.sub(a, self.mul(b, 10 * (a // (10 * b)))), b)
        return self.divmod(a, b)[1]

    def quotient(self, a: int, b: int) -> int:
        """How many times b > 1 goes into a >= 0."""
        if b < 2:
            raise DerailedError("division by zero")
        if atoms.is_mod(a, b):
            return self._fact("quotient", a, b)
        return self._long_divmod(a, b)[0]

    def power(self, a: int, n: int) -> int:
        """a ** n for n >= 1, one multiplication at a time."""
        if n == 1:
            return a
        value = self._fact("square", a, 2) if atoms.is_square(a) else self.mul(a, a)
        for _ in range(n - 2):
            value = self.mul(value, a)
        return value

    def sqrt(self, n: int) -> int:
        """The root of a perfect square, rounded down where a slip spoiled the square."""
        if n < 0:
            raise DerailedError("square root of a negative number")
        return self._fact("sqrt", n, 2)

    def root_parts(self, n: int) -> tuple[int, int]:
        """(k, r) with sqrt(n) = k*sqrt(r) and r without a square factor; n > 0."""
        if n <= 0 or n > atoms.ROOT_HIGH**2 * 4:
            raise DerailedError("no root to take apart")
        k = atoms.square_part(n)
        if k * k == n:
            return self.sqrt(n), 1
        if k == 1:
            return 1, n
        rest = self._fact("split", n, 2)
        return self.sqrt(k * k), rest

    def gcd(self, a: int, b: int) -> int:
        """The greatest common divisor by Euclid's steps."""
        while b:
            if b < 0 or self.num_facts > MAX_FACTS:
                raise DerailedError("Euclid's steps do not end")
            if b == 1:
                return 1
            a, b = b, self.mod(a, b) if a >= b else a
        return a

    def reduce(self, n: int, d: int) -> tuple[int, int]:
        """n/d in lowest terms, d > 0, dividing both by small common factors."""
        if d <= 0:
            raise DerailedError("a denominator that is not positive")
        if n and d > 1 and n % d == 0:
            return self.div(n, d), 1
        for factor in range(atoms.TABLE, 1, -1):
            while n % factor == 0 and d % factor == 0 and d >= factor:
                self.state(f"{n}/{d}, both by {factor}:")
                n, d = (self.div(n, factor) if n else 0), self.div(d, factor)
                if d <= 0:
                    raise DerailedError("a denominator that is not positive")
        return n, d

    def fraction(self, n: int, d: int) -> str:
        """n/d reduced and written as an answer."""
        return fraction(*self.reduce(n, d))

    def _fact(self, op: str, a: int, b: int) -> int:
        write, accepts = ATOMS[op]
        atom = write(a, b)
        self.is_within_atoms &= accepts(a, b)
        index = self.num_facts
        self.num_facts += 1
        if index > MAX_FACTS:
            raise DerailedError("the solution does not end")
        if index == self._slip_at:
            wrong = self._rng.choice([n for n in atom.near if n != atom.value])
            self._write(atom.shown(wrong))
            return wrong
        if index == self._fix_at:
            wrong = self._rng.choice([n for n in atom.near if n != atom.value])
            self._write(atom.shown(wrong))
            self.lines.append(f"Wait, check: {atom}, not {wrong}.")
            return atom.value
        self._write(str(atom))
        if index == self._check_at and atom.check:
            self.lines.append(f"Check: {atom.check}")
        return atom.value

    def _write(self, fact: str) -> None:
        if self.style == "verbose":
            fact = f"{self._rng.choice(_LINKS)}{fact}."
        self.lines.append(fact)
