"""Read closed-form expressions: `\\frac{v_0}{r}(1+x)^{3/2}`, `e^{-2t}\\sin 3t`.

A strict reader of normalised LaTeX: whatever has two readings is refused, since a wrong reading
would make a wrong verdict. Refused are `1/2x`, `f(x)`, `ab c` words, mixed numbers, `\\sin x^2`,
derivatives, constants of integration, absolute values and every unknown command. Read wide, runs
of three letters are products and constants of integration are names.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

Node = tuple[Any, ...]
"""("number", Fraction), ("name", text), ("pi",), ("e",), ("i",), ("neg", a), ("add" | "multiply" |
"divide" | "power" | "binomial", a, b), ("root", degree, a), ("log", base or None, a),
("factorial" | "floor" | "ceil" | function, a)."""

MAX_LENGTH = 400
MAX_DEPTH = 12

GREEK = (
    "alpha|beta|gamma|delta|epsilon|varepsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|rho|sigma|"
    "tau|upsilon|phi|varphi|chi|psi|omega|Gamma|Delta|Theta|Lambda|Sigma|Phi|Psi|Omega"
)
_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?|\.\d+)|(?P<pi>\\pi(?![a-zA-Z]))|(?P<fraction>\\frac(?![a-zA-Z]))"
    rf"|(?P<name>(?:[a-zA-Z]|\\(?:{GREEK})(?![a-zA-Z]))(?:_(?:\w|\{{\w+\}}))?)"
    r"|(?P<root>\\sqrt(?![a-zA-Z]))|(?P<log>\\(?:log|ln|lg)(?![a-zA-Z]))"
    r"|(?P<function>\\(?:sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|sinh|cosh|tanh|exp)"
    r"(?![a-zA-Z]))|(?P<power>\^)|(?P<times>\*)|(?P<over>/)|(?P<sign>[+-])|(?P<base>_)"
    r"|(?P<open>[({\[]|\\lfloor(?![a-zA-Z])|\\lceil(?![a-zA-Z]))"
    r"|(?P<close>[)}\]]|\\rfloor(?![a-zA-Z])|\\rceil(?![a-zA-Z]))|(?P<space> +)"
    r"|(?P<binomial>\\binom(?![a-zA-Z]))|(?P<factorial>!)"
)
_CLOSING = {"(": ")", "[": "]", "{": "}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
_ROUNDINGS = {r"\lfloor": "floor", r"\lceil": "ceil"}
_FACTORS = ("number", "pi", "name", "fraction", "root", "log", "function", "open", "binomial")
_INVERSES = {r"\sin": r"\arcsin", r"\cos": r"\arccos", r"\tan": r"\arctan"}
_CALLED = frozenset("fghFGH")
_ANGLES = (r"\sin", r"\cos", r"\tan", r"\cot", r"\sec", r"\csc")
_SURELY_DEGREES = 5
_DOUBTFUL = re.compile(rf"(?<![\\a-zA-Z])(?:[a-zA-Z]{{3,}}|(?<!_)d(?:[a-zA-Z]|\\(?:{GREEK})))")
_WORD = re.compile(
    r"(?<![\\a-zA-Z])(?:[a-zA-Z]{4,}|cos|sin|tan|cot|sec|csc|log|exp|mod|max|min|gcd|lcm|det|arg|"
    r"lim|inf|sup|deg|for|odd|all|any|and|not|the|are|but|yes)"
)
_INTEGRATION_CONSTANT = re.compile(r"C(?:_.*)?|c_.*")


class _UnreadableError(ValueError):
    pass


def read_expression(text: str, *, is_wide: bool = False) -> Node | None:
    """The tree of an expression, None where it is not read with certainty.

    Read wide, it is one of two readings where letters stand in a row, and may have constants that
    stand for any number.
    """
    if len(text) > MAX_LENGTH or (_WORD if is_wide else _DOUBTFUL).search(text):
        return None
    try:
        reader = _Reader(_tokens(text), is_wide)
        tree = reader.sum(0)
        reader.take("end")
    except _UnreadableError:
        return None
    return tree


def _size(tree: Node) -> Fraction:
    """A quotient of numbers, or the largest number in an expression."""
    if tree[0] == "number":
        return Fraction(tree[1])
    if tree[0] == "divide" and tree[1][0] == tree[2][0] == "number" and tree[2][1]:
        return Fraction(tree[1][1] / tree[2][1])
    sizes = (_size(part) for part in tree[1:] if isinstance(part, tuple))
    return max(sizes, default=Fraction(0))


def has_constants(tree: Node) -> bool:
    """Whether a name may be a constant of integration."""
    return any(_INTEGRATION_CONSTANT.fullmatch(name) for name in names(tree))


def kinds(tree: Node) -> frozenset[str]:
    """The operations and functions of an expression."""
    parts = (kinds(part) for part in tree[1:] if isinstance(part, tuple))
    return frozenset([tree[0]]).union(*parts)


def names(tree: Node) -> frozenset[str]:
    """The variables of an expression."""
    if tree[0] == "name":
        return frozenset([tree[1]])
    return frozenset().union(*(names(part) for part in tree[1:] if isinstance(part, tuple)))


def _tokens(text: str) -> list[tuple[str, str]]:
    found, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _UnreadableError
        if match.lastgroup != "space":
            found.append((str(match.lastgroup), match.group()))
        position = match.end()
    return [*found, ("end", "")]


class _Reader:
    """Recursive descent: sum -> term -> factor -> atom, each bounded in depth."""

    def __init__(self, tokens: list[tuple[str, str]], is_wide: bool = False) -> None:
        self.tokens = tokens
        self.is_wide = is_wide
        self.place = 0

    @property
    def kind(self) -> str:
        return self.tokens[self.place][0]

    @property
    def text(self) -> str:
        return self.tokens[self.place][1]

    def take(self, kind: str, text: str = "") -> str:
        found, value = self.tokens[self.place]
        if found != kind or (text and text != value):
            raise _UnreadableError
        self.place += 1
        return value

    def sum(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise _UnreadableError
        total: Node | None = None
        while total is None or self.kind == "sign":
            sign = self.take("sign") if self.kind == "sign" else "+"
            term = self._term(depth)
            term = ("neg", term) if sign == "-" else term
            total = term if total is None else ("add", total, term)
        return total

    def _term(self, depth: int) -> Node:
        product = self._factor(depth)
        is_divided = False
        while True:
            if self.kind == "over":
                self.take("over")
                product, is_divided = ("divide", product, self._factor(depth)), True
            elif self.kind == "times":
                self.take("times")
                product, is_divided = ("multiply", product, self._factor(depth)), False
            elif self.kind in _FACTORS:
                if is_divided or self.kind == "number" or self._may_be_mixed():
                    raise _UnreadableError
                product = ("multiply", product, self._factor(depth))
            else:
                return product

    def _may_be_mixed(self) -> bool:
        return self.kind == "fraction" and self.tokens[self.place - 1][0] == "number"

    def _factor(self, depth: int) -> Node:
        if self.kind in ("function", "log"):
            return self._called(depth)
        base = self._atom(depth)
        if self.kind == "factorial":
            self.take("factorial")
            if self.kind in ("factorial", "power"):
                raise _UnreadableError
            return ("factorial", base)
        if self.kind != "power":
            return base
        power = ("power", base, self._exponent(depth))
        if self.kind == "factorial":
            raise _UnreadableError
        return power

    def _exponent(self, depth: int) -> Node:
        self.take("power")
        if self.text == "{":
            return self._group(depth)
        if self.kind == "number" and len(self.text) > 1:
            raise _UnreadableError
        if self.kind not in ("number", "name", "pi"):
            raise _UnreadableError
        return self._atom(depth)

    def _atom(self, depth: int) -> Node:
        kind = self.kind
        if kind == "number":
            return ("number", Fraction(self.take("number")))
        if kind == "pi":
            self.take("pi")
            return ("pi",)
        if kind == "name":
            return self._name()
        if kind == "fraction":
            self.take("fraction")
            return ("divide", self._group(depth, "{"), self._group(depth, "{"))
        if kind == "root":
            return self._root(depth)
        if kind == "binomial":
            self.take("binomial")
            return ("binomial", self._group(depth, "{"), self._group(depth, "{"))
        return self._group(depth)

    def _name(self) -> Node:
        name = self.take("name").replace("{", "").replace("}", "")
        if _INTEGRATION_CONSTANT.fullmatch(name) and not self.is_wide:
            raise _UnreadableError
        if self.text == "(" and not self._is_product(name):
            raise _UnreadableError
        return (name,) if name in ("e", "i") else ("name", name)

    def _is_product(self, name: str) -> bool:
        """Whether `n(n+1)` is meant and not `f(x)`: the parentheses hold a sum."""
        after = [text for _, text in self.tokens[self.place + 1 :]]
        inside = after[: after.index(")")] if ")" in after else []
        return name not in _CALLED and ("+" in inside[1:] or "-" in inside[1:])

    def _root(self, depth: int) -> Node:
        self.take("root")
        degree = Fraction(2)
        if self.text == "[":
            self.take("open")
            degree = Fraction(self.take("number"))
            self.take("close", "]")
        if degree not in range(2, 21):
            raise _UnreadableError
        return ("root", int(degree), self._group(depth, "{"))

    def _group(self, depth: int, opening: str = "") -> Node:
        bracket = self.take("open", opening)
        inside = self.sum(depth + 1)
        self.take("close", _CLOSING[bracket])
        return (_ROUNDINGS[bracket], inside) if bracket in _ROUNDINGS else inside

    def _called(self, depth: int) -> Node:
        """A function with its argument: `\\sin^2 x`, `\\log_{2}(x)`, `\\cos\\frac{x}{2}`."""
        kind, name = self.kind, self.take(self.kind)
        base: Node | None = None
        if kind == "log":
            base = {r"\ln": ("e",), r"\lg": ("number", Fraction(10))}.get(name)
            if self.kind == "base" and name == r"\log":
                self.take("base")
                base = self._group(depth) if self.text == "{" else self._atom(depth)
        power = self._exponent(depth) if self.kind == "power" else None
        start = self.place
        argument = self._argument(depth, kind)
        if power == ("neg", ("number", Fraction(1))) and name in _INVERSES:
            return (_INVERSES[name], argument)
        if name in _ANGLES and _size(argument) >= _SURELY_DEGREES and self._is_plain(start):
            raise _UnreadableError
        called = ("log", base, argument) if kind == "log" else (name, argument)
        if power is None:
            return called
        if power[0] != "number":
            raise _UnreadableError
        return ("power", called, power)

    def _is_plain(self, start: int) -> bool:
        """Whether the argument read since `start` is a plain number, which may be degrees."""
        return not any(kind in ("name", "pi") for kind, _ in self.tokens[start : self.place])

    def _argument(self, depth: int, function: str) -> Node:
        """One group, fraction or root; or a number, pi and a name, such as `2\\pi t`."""
        if self.kind in ("open", "fraction", "root"):
            argument = self._atom(depth)
            if self.kind in ("power", "factorial"):
                raise _UnreadableError
            return argument
        parts = []
        for kind in ("number", "pi", "name"):
            if self.kind == kind:
                parts.append(self._atom(depth))
        is_open = self.kind in _FACTORS or self.kind in ("power", "over", "times", "factorial")
        is_open = is_open and self.kind not in ("log", "function")
        if not parts or is_open or (function == "log" and len(parts) > 1):
            raise _UnreadableError
        product = parts[0]
        for part in parts[1:]:
            product = ("multiply", product, part)
        return product
