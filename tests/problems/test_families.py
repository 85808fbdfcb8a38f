"""Every family against a slow, independent way to the answer, mostly read off the question."""

import itertools
import math
import re
from fractions import Fraction
from random import Random

import pytest
import sympy

from minireason.problems.families import FAMILIES
from minireason.problems.families.quadratics import quadratic
from minireason.problems.family import NUM_FACTS, Problem
from minireason.problems.scratch import STYLES, Scratch
from minireason.records import DOMAINS, LEVELS

ROWS = [(name, level) for name, family in FAMILIES.items() for level in family.levels]
NUM_SEEDS = 30


def params_of(problem: Problem) -> list[int]:
    return [int(n) for n in problem.id.split(":")[3].split(",")]


def numbers(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", text)]


def python_of(expression: str) -> str:
    """The expression with every product written out and powers as Python has them."""
    spaced = re.sub(r"(\d|\))(?=[a-z(])", r"\1*", expression).replace("^", "**")
    return re.sub(r"(?<![a-z])(\d+)", r"Fraction(\1)", spaced)


def value_of(expression: str, **names: int) -> Fraction:
    return eval(python_of(expression), {"Fraction": Fraction, **names})


def equations(text: str) -> list[sympy.Expr]:
    found = re.findall(r"[-+*^()\dxy]+=[-+*^()\dxy]+", text)
    sides = [equation.split("=") for equation in found]
    names = {"x": sympy.Symbol("x"), "y": sympy.Symbol("y"), "Fraction": sympy.Integer}
    return [eval(python_of(a), names) - eval(python_of(b), names) for a, b in sides]


def sympy_of(latex: str) -> sympy.Expr:
    text = re.sub(r"\\sqrt\{(\d+)\}", r"sqrt(\1)", latex)
    text = re.sub(r"\\frac\{([^{}]*)\}\{(\d+)\}", r"(\1)/(\2)", text)
    text = text.replace("\\pi", "pi").replace("^", "**")
    text = re.sub(r"(\d|\))(?=[a-z])", r"\1*", text)
    return sympy.sympify(text, locals={"i": sympy.I, "x": sympy.Symbol("x")})


def expression_in(text: str) -> Fraction:
    return value_of(max(re.findall(r"[-+*/^()\d]+", text), key=len))


def polynomial_in(text: str) -> str:
    return re.search(r"[-+^()\dx]*x[-+^()\dx]*", text.replace("f(x)=", ""))[0]


def percent(p: Problem):
    price, rate, coupon = params_of(p)
    return price * Fraction(rate, 100) if not coupon else price * (1 - Fraction(rate, 100)) - coupon


def _left(pairs: list[int], cash: int) -> int:
    while pairs:
        a, b, *pairs = pairs
        cash -= sum(b for _ in range(a))
    return cash


def linear_system(p: Problem):
    x, y = sympy.symbols("x y")
    (pair,) = sympy.linsolve(equations(p.text), x, y)
    return sum(pair) if re.search(r"(is|ind) x\+y", p.text) else tuple(pair)


def polynomial_value(p: Problem):
    x = params_of(p)[0]
    return value_of(polynomial_in(p.text.replace("x=", "")), x=x)


def polynomial_product(p: Problem):
    product = re.search(r"\(.*\)", p.text)[0].replace(")(", ")*(")
    x = sympy.Symbol("x")
    return sympy.expand(eval(python_of(product), {"x": x, "Fraction": sympy.Integer}))


def sequence(p: Problem):
    kind, a, d, n, *rest = params_of(p)
    terms = [a, d] if kind == 4 else [a]
    while len(terms) < n:
        if kind == 3:
            terms.append(terms[-1] * d + rest[0])
        elif kind == 4:
            terms.append(rest[0] * terms[-1] + rest[1] * terms[-2])
        else:
            terms.append(terms[-1] + d)
    return sum(terms) if kind == 2 else terms[-1]


def quadratic_roots(p: Problem):
    roots = sympy.solve(equations(p.text)[0], sympy.Symbol("x"))
    if "larger" in p.text or "smaller" in p.text:
        return max(roots) if "larger" in p.text else min(roots)
    return tuple(sorted(roots)) if all(r.is_rational for r in roots) else set(roots)


def gcd_lcm(p: Problem):
    found = numbers(p.text)
    if "lcm" in p.text or "multiple" in p.text or "smallest" in p.text:
        return next(n for n in itertools.count(1) if all(n % f == 0 for f in found))
    return max(d for d in range(1, 200) if all(f % d == 0 for f in found))


def remainder(p: Problem):
    *terms, m = re.findall(r"[\d+^]+", p.text)
    return eval(terms[0].replace("^", "**")) % int(m)


def base_conversion(p: Problem):
    found = numbers(p.text)
    target = found.pop()
    n = found[0] if len(found) == 1 else int(str(max(found)), min(found))
    numerals = (
        digits
        for length in itertools.count(1)
        for digits in itertools.product(range(target), repeat=length)
    )
    wanted = next(
        digits
        for digits in numerals
        if sum(d * target**i for i, d in enumerate(reversed(digits))) == n
    )
    return int("".join(map(str, wanted)))


def multiples(p: Problem):
    kind, low, high, a, b = params_of(p)
    if kind == 0:
        return sum(n % a == 0 for n in range(low, high + 1))
    either = sum(n % a == 0 or n % b == 0 for n in range(low, high + 1))
    return either if kind == 1 else high - either


def congruences(p: Problem):
    a, m, b, n = params_of(p)
    return next(x for x in itertools.count(1) if x % m == a and x % n == b)


def rectangle(p: Problem):
    kind, *sides = params_of(p)
    if kind == 0:
        return sum([sides[0], sides[1], sides[0], sides[1]])
    if kind == 1:
        w, h, a, b = sides
        return sum(not (x < a and y < b) for x in range(w) for y in range(h))
    return sum(2 * a * b for a, b in itertools.combinations(sides, 2))


def points(text: str) -> list[tuple[int, ...]]:
    return [tuple(map(int, p.split(","))) for p in re.findall(r"\(([-\d,]+)\)", text)]


def distance(p: Problem):
    square = sum((a - b) ** 2 for a, b in zip(*points(p.text), strict=True))
    return sympy.sqrt(square) if p.level != "high" else square


def circle(p: Problem):
    kind, *n = params_of(p)
    if kind == 0:
        return sympy.pi * n[0] ** 2 * n[1]
    if kind == 1:
        return 2 * sympy.pi * n[0] ** 2 + 2 * sympy.pi * n[0] * n[1]
    return sympy.pi * n[1] ** 2 * n[2] - sympy.pi * n[0] ** 2 * n[2]


def triangle_area(p: Problem):
    corners = points(p.text)
    around = zip(corners, corners[1:] + corners[:1], strict=True)
    return abs(Fraction(sum(a * d - b * c for (a, b), (c, d) in around), 2))


def menu(p: Problem):
    n = params_of(p)
    if len(n) == 3:
        return len(list(itertools.product(range(n[0]), range(n[1])))) + n[2]
    first = itertools.product(*(range(k) for k in n[:3]))
    return len(list(first)) + len(list(itertools.product(range(n[3]), range(n[4]))))


def overlap(p: Problem):
    n = params_of(p)
    if len(n) < 7:
        left, right = set(range(n[0])), set(range(n[0] - n[2], n[0] - n[2] + n[1]))
        assert len(left & right) == n[2]
        return n[3] - len(left | right) if len(n) == 4 else len(left | right)
    a, b, c, ab, ac, bc, abc = n
    pairs = [ab - abc, ac - abc, bc - abc]
    singles = [a - pairs[0] - pairs[1], b - pairs[0] - pairs[2], c - pairs[1] - pairs[2]]
    return sum(pairs) + sum(s - abc for s in singles) + abc


def committee(p: Problem):
    a, j, b, k, is_both = params_of(p)
    first = len(list(itertools.combinations(range(a), j)))
    second = len(list(itertools.combinations(range(b), k)))
    return first * second if is_both else first + second


def urn(p: Problem):
    kind, r, b, g = params_of(p)
    balls = "r" * r + "b" * b + "g" * g
    if kind == 0:
        return Fraction(sum(ball == "r" for ball in balls), len(balls))
    draws = list(
        itertools.product(balls, repeat=2) if kind == 1 else itertools.permutations(balls, 2)
    )
    return Fraction(draws.count(("r", "r") if kind == 1 else ("r", "b")), len(draws))


def grid_paths(p: Problem):
    x, y, c, d, *stop = params_of(p)

    def count(u: int, v: int, has_stopped: bool) -> int:
        has_stopped = has_stopped or [u, v] == stop[:2]
        if (u, v) == (c, d):
            return not stop or has_stopped != bool(stop[2])
        right = count(u + 1, v, has_stopped) if u < c else 0
        return right + (count(u, v + 1, has_stopped) if v < d else 0)

    return count(x, y, False)


def expected_value(p: Problem):
    cards = [v for w, v in re.findall(r"(\d+) with (\d+)", p.text) for _ in range(int(w))]
    return Fraction(sum(map(int, cards)), len(cards))


REFERENCES = {
    "chain_sum": lambda p: expression_in(p.text),
    "order_of_operations": lambda p: expression_in(p.text),
    "fraction_sum": lambda p: expression_in(p.text),
    "percent": percent,
    "shopping": lambda p: _left(params_of(p)[:-1], params_of(p)[-1]),
    "average": lambda p: Fraction(sum(numbers(p.text)), len(numbers(p.text))),
    "linear_equation": lambda p: sympy.solve(equations(p.text)[0])[0],
    "linear_system": linear_system,
    "polynomial_value": polynomial_value,
    "polynomial_product": polynomial_product,
    "sequence": sequence,
    "quadratic": quadratic_roots,
    "gcd_lcm": gcd_lcm,
    "remainder": remainder,
    "modular_power": remainder,
    "base_conversion": base_conversion,
    "multiples": multiples,
    "congruences": congruences,
    "angles": lambda p: (180 if "triangle" in p.text else 360) - sum(numbers(p.text)),
    "rectangle": rectangle,
    "distance": distance,
    "circle": circle,
    "triangle_area": triangle_area,
    "menu": menu,
    "overlap": overlap,
    "committee": committee,
    "urn": urn,
    "grid_paths": grid_paths,
    "expected_value": expected_value,
}


def matches(answer: str, expected: object) -> bool:
    if isinstance(expected, set):
        roots = {sympy_of(answer.replace("\\pm", sign)) for sign in "+-"}
        return {sympy.simplify(a - b) == 0 for a in roots for b in expected} == {True, False}
    if isinstance(expected, tuple):
        parts = answer[1:-1].split(",")
        return [sympy_of(a) for a in parts] == [sympy.Rational(e) for e in expected]
    if isinstance(expected, Fraction):
        expected = sympy.Rational(expected.numerator, expected.denominator)
    return sympy.expand(sympy_of(answer) - expected) == 0


@pytest.mark.parametrize(("name", "level"), ROWS)
def test_answer_equals_an_independent_computation(name: str, level: str) -> None:
    for seed in range(NUM_SEEDS if name not in ("quadratic", "linear_system") else 12):
        problem = FAMILIES[name].sample(Random(seed), level)
        assert matches(problem.answer, REFERENCES[name](problem)), problem


@pytest.mark.parametrize(("name", "level"), ROWS)
def test_correct_solution_ends_in_the_answer_whatever_is_checked(name: str, level: str) -> None:
    for seed in range(NUM_SEEDS):
        problem = FAMILIES[name].sample(Random(seed), level)
        for extra in ({}, {"check_at": seed % 3}, {"fix_at": seed % 3}):
            solution = problem.solve(Scratch(Random(seed), STYLES[seed % 3], **extra))
            assert solution.endswith(f"\\boxed{{{problem.answer}}}.")


@pytest.mark.parametrize(("name", "level"), ROWS)
def test_no_answer_can_be_guessed_and_there_are_many_problems(name: str, level: str) -> None:
    problems = [FAMILIES[name].sample(Random(seed), level) for seed in range(300)]
    answers = [p.answer for p in problems]
    assert max(map(answers.count, set(answers))) <= 0.17 * len(answers)
    assert len({p.identity for p in problems}) >= 90


@pytest.mark.parametrize(("name", "level"), ROWS)
def test_solution_is_as_long_as_its_level_says(name: str, level: str) -> None:
    fewest, most = NUM_FACTS[level]
    for seed in range(NUM_SEEDS):
        scratch = Scratch(Random(seed))
        FAMILIES[name].sample(Random(seed), level).work(scratch)
        assert fewest <= scratch.num_facts <= most
        assert scratch.is_within_atoms


def test_families_cover_every_level_and_domain() -> None:
    assert {f.domain for f in FAMILIES.values()} == set(DOMAINS)
    for level in LEVELS:
        offering = [f for f in FAMILIES.values() if level in f.levels]
        assert len(offering) >= 5
        assert len({f.domain for f in offering}) >= 4


def test_each_family_is_registered_under_its_name_with_three_phrasings() -> None:
    for name, family in FAMILIES.items():
        assert family.name == name
        for level, draw in family.draws.items():
            phrasings = family.phrase(draw(Random(3)))
            assert len(set(phrasings)) == len(phrasings) >= 3, (name, level)


def test_the_question_with_complex_roots_is_solved() -> None:
    problem = quadratic(3, 4, 5, 1)
    assert problem.text == "How to solve 3*x^2+4*x+5=1?"
    assert problem.answer == r"-\frac{2}{3} \pm \frac{2\sqrt{2}i}{3}"
    assert matches(problem.answer, quadratic_roots(problem))


def test_questions_on_one_equation_share_an_identity() -> None:
    family = FAMILIES["quadratic"]
    same = [family.identity(params) for params in ((1, 2, -8, 0, 0), (1, 2, -5, 3, 1))]
    assert same[0] == same[1] != family.identity((1, 3, -8, 0, 0))


def test_quadratic_handles_each_kind_of_roots() -> None:
    assert quadratic(1, -5, 7, 1).answer == "(2,3)"
    assert quadratic(2, 1, -6, -5).answer == r"(-1,\frac{1}{2})"
    assert quadratic(1, 0, -2, 1).answer == r"\pm \sqrt{3}"
    assert quadratic(1, 2, 5, 0).answer == r"-1 \pm 2i"
    assert quadratic(1, 2, 1, 0).answer == "-1"


def test_math_verify_reads_surd_and_complex_answers() -> None:
    from math_verify import parse

    (roots, _) = parse(f"${quadratic(3, 4, 5, 1).answer}$")
    imaginary = [r.subs(dict.fromkeys(r.free_symbols, sympy.I)) for r in roots]
    assert len(imaginary) == 2
    assert {sympy.expand(3 * r**2 + 4 * r + 4) for r in imaginary} == {0}


def test_square_roots_are_simplified() -> None:
    for seed in range(50):
        answer = FAMILIES["distance"].sample(Random(seed), "college").answer
        inside = re.search(r"sqrt\{(\d+)\}", answer)
        if inside:
            assert all(int(inside[1]) % (k * k) for k in range(2, math.isqrt(400)))
