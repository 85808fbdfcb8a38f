"""Geometry by coordinates: distances and areas of triangles."""

from __future__ import annotations

from random import Random

from minireason.problems.family import Family, Params
from minireason.problems.notation import root
from minireason.problems.scratch import DerailedError, Scratch


def _draw_points(rng: Random, num_axes: int, is_root: int, high: int) -> Params:
    while True:
        p = [rng.randint(-high, high) for _ in range(num_axes)]
        q = [rng.randint(-high, high) for _ in range(num_axes)]
        if all(x != y for x, y in zip(p, q, strict=True)):
            return (is_root, *p, *q)


def _points(params: Params, num_axes: int) -> list[str]:
    numbers = params[1:]
    points = [numbers[i : i + num_axes] for i in range(0, len(numbers), num_axes)]
    return [f"({','.join(map(str, p))})" for p in points]


def _phrase_distance(params: Params) -> tuple[str, ...]:
    p, q = _points(params, (len(params) - 1) // 2)
    if not params[0]:
        return (
            f"What is the square of the distance from {p} to {q}?",
            f"Find the squared distance between {p} and {q}.",
            f"A square has the side from {p} to {q}. What is its area?",
        )
    return (
        f"What is the distance from {p} to {q}?",
        f"Find the distance between {p} and {q}.",
        f"How long is the segment from {p} to {q}?",
    )


def _work_distance(params: Params, s: Scratch) -> str:
    is_root, *numbers = params
    num_axes = len(numbers) // 2
    total: int | None = None
    for a, b in zip(numbers[:num_axes], numbers[num_axes:], strict=True):
        part = s.power(s.sub(b, a), 2)
        total = part if total is None else s.add(total, part)
    if not is_root:
        return str(total)
    return root(*s.root_parts(total or 0))


def _draw_triangle(rng: Random, kind: int) -> Params:
    """Kind 0: a base on the x axis; 1: a corner at the origin; 2: three free corners."""
    while True:
        a, b, c, d, e, f = (rng.randint(-8, 9) for _ in range(6))
        if kind == 0:
            a, c = sorted((rng.randint(-20, 20), rng.randint(-20, 20)))
            b, d, e, f = 0, 0, rng.randint(-20, 20), rng.randint(2, 12)
        elif kind == 1:
            a, b = 0, 0
        if (c - a) * (f - b) - (e - a) * (d - b) > 0:
            return (kind, a, b, c, d, e, f)


def _phrase_triangle(params: Params) -> tuple[str, ...]:
    p, q, r = _points(params, 2)
    return (
        f"What is the area of the triangle {p}, {q}, {r}?",
        f"Find the area of the triangle with corners {p}, {q}, {r}.",
        f"A triangle has the corners {p}, {q} and {r}. What is its area?",
    )


def _work_triangle(params: Params, s: Scratch) -> str:
    kind, a, b, c, d, e, f = params
    if kind == 0:
        double = s.mul(s.sub(c, a), f)
    else:
        if kind == 2:
            c, d = s.sub(c, a), s.sub(d, b)
            e, f = s.sub(e, a), s.sub(f, b)
        double = s.sub(s.mul(c, f), s.mul(e, d))
    if double < 0:
        raise DerailedError("a negative area")
    return s.fraction(double, 2)


DISTANCE = Family(
    "distance",
    "geometry",
    {
        "high": lambda rng: _draw_points(rng, 2, 0, 9),
        "college": lambda rng: _draw_points(rng, 2, 1, 7),
        "graduate": lambda rng: _draw_points(rng, 3, 1, 5),
    },
    _phrase_distance,
    _work_distance,
)


TRIANGLE_AREA = Family(
    "triangle_area",
    "geometry",
    {
        "high": lambda rng: _draw_triangle(rng, 0),
        "college": lambda rng: _draw_triangle(rng, 1),
        "graduate": lambda rng: _draw_triangle(rng, 2),
    },
    _phrase_triangle,
    _work_triangle,
)
