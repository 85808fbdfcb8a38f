"""One form for many spellings of an expression: `\\frac{1-e^{-t}}{s}`, `\\frac{1}{s}-e^{-t}/s`.

A form is a sum of monomials with rational coefficients. Their factors are names, primes under a
root, and what is opaque: functions, powers and denominators, each with the form of its insides.
Every rule holds wherever both sides have a value (`(ab)^{1/2}` is not taken apart, `(4a)^{1/2}` is
`2a^{1/2}`), so equal forms mean equal expressions. Different forms mean nothing.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from minireason.verify.expression import Node

Factor = tuple[Any, ...]
Monomial = tuple[tuple[Factor, Fraction], ...]
Form = dict[Monomial, Fraction]

MAX_TERMS = 60
MAX_POWER = 60
MAX_INTEGER = 10**6
MAX_DIGITS = 400
_PRIME, _I, _E = "prime", ("i",), ("e",)
_ODD = (r"\sin", r"\tan", r"\cot", r"\csc", r"\sinh", r"\tanh", r"\arcsin", r"\arctan")
_EVEN = (r"\cos", r"\sec", r"\cosh")


class NoFormError(ValueError):
    """The form would be too large, or a rule does not hold for what it is given."""


def same_form(gold: Node, given: Node) -> bool:
    """Whether two expressions have one form, so that they are surely equal."""
    try:
        return form(gold) == form(given)
    except (NoFormError, ZeroDivisionError):
        return False


def form(tree: Node) -> Form:
    """The form of an expression; raises `NoFormError`."""
    kind, parts = tree[0], tree[1:]
    if kind == "number":
        return _constant(parts[0])
    if kind in ("name", "pi", "e", "i"):
        return {((tree, Fraction(1)),): Fraction(1)}
    if kind == "root":
        return _power(form(parts[1]), _constant(Fraction(1, parts[0])))
    if kind == "log":
        return _log(None if parts[0] is None else _key(form(parts[0])), form(parts[1]))
    forms = [form(part) for part in parts]
    if kind == "neg":
        return _scaled(forms[0], Fraction(-1))
    if kind == "add":
        return _add(forms[0], forms[1])
    if kind == "multiply":
        return _multiply(forms[0], forms[1])
    if kind == "divide":
        return _multiply(forms[0], _inverse(forms[1]))
    if kind == "power":
        return _power(forms[0], forms[1])
    if kind == "binomial":
        return _factor((kind, _key(forms[0]), _key(forms[1])))
    return _function(kind, forms[0])


def monomial_ratio(one: tuple[Monomial, Fraction], other: tuple[Monomial, Fraction]) -> Form:
    """What the first term is multiplied by to give the second."""
    exponents = dict(other[0])
    for factor, exponent in one[0]:
        exponents[factor] = exponents.get(factor, Fraction(0)) - exponent
    return _monomial(exponents, other[1] / one[1])


def scaled_by(terms: Form, ratio: Form) -> Form:
    """All terms multiplied by one; raises `NoFormError`."""
    return _multiply(terms, ratio)


def _constant(value: Fraction) -> Form:
    return {(): value} if value else {}


def _factor(factor: Factor, exponent: Fraction = Fraction(1)) -> Form:
    return {((factor, exponent),): Fraction(1)}


def _key(terms: Form) -> Factor:
    return tuple(sorted(terms.items(), key=repr))


def _scaled(terms: Form, scale: Fraction) -> Form:
    return {monomial: coefficient * scale for monomial, coefficient in terms.items() if scale}


def _add(left: Form, right: Form) -> Form:
    total = dict(left)
    for monomial, coefficient in right.items():
        value = total.pop(monomial, Fraction(0)) + coefficient
        if value:
            total[monomial] = value
    return total


def _multiply(left: Form, right: Form) -> Form:
    if len(left) * len(right) > MAX_TERMS:
        raise NoFormError
    product: Form = {}
    for a, x in left.items():
        for b, y in right.items():
            exponents = dict(a)
            for factor, exponent in b:
                exponents[factor] = exponents.get(factor, Fraction(0)) + exponent
            product = _add(product, _monomial(exponents, x * y))
    return product


def _monomial(exponents: dict[Factor, Fraction], coefficient: Fraction) -> Form:
    """Whole powers of primes go into the coefficient, powers of i to one of 1, i, -1, -i."""
    kept: dict[Factor, Fraction] = {}
    for factor, exponent in exponents.items():
        rest = exponent
        if factor[0] == _PRIME:
            rest = exponent % 1
            coefficient *= _whole_power(Fraction(factor[1]), int(exponent - rest))
        elif factor == _I and exponent.denominator == 1:
            rest = exponent % 2
            coefficient *= -1 if exponent % 4 >= 2 else 1
        if rest:
            kept[factor] = rest
    return {tuple(sorted(kept.items(), key=repr)): coefficient}


def _whole_power(base: Fraction, exponent: int) -> Fraction:
    digits = len(str(base.numerator)) + len(str(base.denominator))
    if abs(exponent) * digits > MAX_DIGITS:
        raise NoFormError
    return base**exponent


def _content(terms: Form) -> Fraction:
    """The coefficient of the first term; what is left after dividing by it is the same for all
    multiples of a sum.
    """
    if not terms:
        raise NoFormError
    return terms[min(terms, key=repr)]


def _inverse(terms: Form) -> Form:
    content = _content(terms)
    rest = _scaled(terms, 1 / content)
    if len(rest) > 1:
        return _scaled(_factor(("sum", _key(rest)), Fraction(-1)), 1 / content)
    ((monomial, _),) = rest.items()
    return _monomial({factor: -exponent for factor, exponent in monomial}, 1 / content)


def _power(base: Form, exponent: Form) -> Form:
    is_constant = not exponent or list(exponent) == [()]
    if is_constant:
        return _constant_power(base, exponent.get((), Fraction(0)))
    if base == form(_E):
        return _exponential(_E, exponent, Fraction(1))
    if list(base) == [()] and base[()] > 0:
        product = _constant(Fraction(1))
        for prime, count in _primes(base[()]):
            product = _multiply(product, _exponential((_PRIME, prime), exponent, Fraction(count)))
        return product
    return _factor(("power", _key(base), _key(exponent)))


def _exponential(base: Factor, exponent: Form, times: Fraction) -> Form:
    """A positive constant to a sum: one factor for each of its terms."""
    product = _constant(Fraction(1))
    for monomial, coefficient in exponent.items():
        if not monomial:
            product = _multiply(product, _monomial({base: coefficient * times}, Fraction(1)))
        else:
            factor = ("exponential", base, monomial)
            product = _multiply(product, _factor(factor, coefficient * times))
    return product


def _constant_power(base: Form, exponent: Fraction) -> Form:
    if exponent.denominator == 1:
        if abs(exponent) > MAX_POWER and list(base) != [()]:
            raise NoFormError
        if list(base) == [()]:
            return _constant(_whole_power(base[()], int(exponent)))
        factor, product = base if exponent >= 0 else _inverse(base), _constant(Fraction(1))
        for _ in range(abs(int(exponent))):
            product = _multiply(product, factor)
        return product
    content = abs(_content(base))
    product = _constant(Fraction(1))
    for prime, count in _primes(content):
        product = _multiply(product, _monomial({(_PRIME, prime): count * exponent}, Fraction(1)))
    rest = _scaled(base, 1 / content)
    if rest == _constant(Fraction(1)):
        return product
    if rest == _constant(Fraction(-1)):
        if exponent != Fraction(1, 2):
            raise NoFormError  # odd roots of negative numbers are real to some, complex to others
        return _multiply(product, _factor(_I))
    ((monomial, coefficient), *others) = rest.items()
    is_single = not others and coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1
    inside: Factor = monomial[0][0] if is_single else ("sum", _key(rest))
    if inside == _I:
        raise NoFormError
    return _multiply(product, _factor(inside, exponent))


def _log(base: Factor | None, argument: Form) -> Form:
    """Of a positive rational number, the sum over its primes."""
    if list(argument) != [()] or argument[()] <= 0:
        return _factor(("log", base, _key(argument)))
    total: Form = {}
    for prime, count in _primes(argument[()]):
        term = _factor(("log", base, _key(_constant(Fraction(prime)))))
        total = _add(total, _scaled(term, Fraction(count)))
    return total


def _function(name: str, argument: Form) -> Form:
    if name == r"\exp":
        return _power(form(_E), argument)
    sign = -1 if argument and name in (*_ODD, *_EVEN) and _content(argument) < 0 else 1
    called = _factor((name, _key(_scaled(argument, Fraction(sign)))))
    return _scaled(called, Fraction(sign if name in _ODD else 1))


def _primes(value: Fraction) -> list[tuple[int, int]]:
    """The primes of a positive rational number with their exponents."""
    if max(value.numerator, value.denominator) > MAX_INTEGER:
        raise NoFormError
    found: list[tuple[int, int]] = []
    for number, sign in ((value.numerator, 1), (value.denominator, -1)):
        prime, left = 2, number
        while left > 1:
            prime = prime if prime * prime <= left else left
            count = 0
            while left % prime == 0:
                left //= prime
                count += 1
            if count:
                found.append((prime, sign * count))
            prime += 1
    return found
