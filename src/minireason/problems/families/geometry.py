"""Geometry: angles, rectangles and boxes, distances, round bodies, triangles by coordinates."""

from __future__ import annotations

from random import Random

from minireason.problems.family import Family, Params
from minireason.problems.notation import multiple, root
from minireason.problems.scratch import DerailedError, Scratch


def _draw_angles(rng: Random, count: int) -> Params:
    while True:
        angles = sorted(rng.randint(20, 110) for _ in range(count))
        if (180 if count == 2 else 360) - sum(angles) >= 15:
            return tuple(angles)


def _phrase_angles(params: Params) -> tuple[str, ...]:
    shape = "triangle" if len(params) == 2 else "quadrilateral"
    *others, last = map(str, params)
    angles = f"{', '.join(others)} and {last}"
    return (
        f"A {shape} has angles of {angles} degrees. What is the other angle?",
        f"Find the missing angle of a {shape} with angles {angles} degrees.",
        f"In a {shape} the known angles are {angles} degrees. How many degrees is the last one?",
    )


def _work_angles(params: Params, s: Scratch) -> str:
    rest = 180 if len(params) == 2 else 360
    s.tell(f"The angles sum to {rest}.")
    for angle in params:
        rest = s.sub(rest, angle)
    return str(rest)


def _draw_rectangle(rng: Random, kind: int) -> Params:
    """Kind 0: perimeter of w by h; 1: a rectangle with a hole; 2: the surface of a box."""
    if kind == 0:
        return (0, *sorted((rng.randint(3, 40), rng.randint(3, 40))))
    if kind == 1:
        w, h = sorted((rng.randint(4, 12), rng.randint(4, 12)))
        return (1, w, h, *sorted((rng.randint(2, w - 1), rng.randint(2, w - 1))))
    return (2, *sorted(rng.randint(2, 14) for _ in range(3)))


def _phrase_rectangle(params: Params) -> tuple[str, ...]:
    kind, *sides = params
    if kind == 0:
        w, h = sides
        return (
            f"What is the perimeter of a rectangle with sides {w} and {h}?",
            f"A garden is {w} m by {h} m. How long is the fence around it?",
            f"Find the perimeter of a {w} by {h} rectangle.",
        )
    if kind == 1:
        w, h, a, b = sides
        return (
            f"A {a} by {b} hole is cut from a {w} by {h} rectangle. What area is left?",
            f"A garden is {w} m by {h} m with a pool of {a} m by {b} m. What area is not pool?",
            f"Find the area of a {w} by {h} rectangle without a {a} by {b} corner.",
        )
    box = " by ".join(map(str, sides))
    return (
        f"What is the surface area of a {box} box?",
        f"Find the surface area of a box with sides {box}.",
        f"How much paper covers a {box} box?",
    )


def _work_rectangle(params: Params, s: Scratch) -> str:
    kind, *sides = params
    if kind == 0:
        half = s.add(sides[0], sides[1])
        return str(s.add(half, half))
    if kind == 1:
        area = s.mul(sides[0], sides[1])
        return str(s.sub(area, s.mul(sides[2], sides[3])))
    a, b, c = sides
    total = s.add(s.mul(a, b), s.mul(b, c))
    half = s.add(total, s.mul(a, c))
    return str(s.add(half, half))


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


def _phrase_circle(params: Params) -> tuple[str, ...]:
    kind, *n = params
    if kind == 0:
        body = f"cylinder with radius {n[0]} and height {n[1]}"
        return (
            f"What is the volume of a {body}?",
            f"Find the volume of a {body}.",
            f"How much fits in a {body}?",
        )
    if kind == 1:
        body = f"closed cylinder with radius {n[0]} and height {n[1]}"
        return (
            f"What is the surface area of a {body}?",
            f"Find the surface area of a {body}.",
            f"How much paint covers a {body}?",
        )
    body = f"pipe with outer radius {n[1]}, inner radius {n[0]} and length {n[2]}"
    return (
        f"What is the volume of a {body}?",
        f"Find the volume of a {body}.",
        f"How much metal is in a {body}?",
    )


def _work_circle(params: Params, s: Scratch) -> str:
    kind, *n = params
    if kind == 0:
        area = s.power(n[0], 2)
        return multiple(s.mul(area, n[1]), "\\pi")
    if kind == 1:
        return multiple(s.mul(s.mul(2, n[0]), s.add(n[0], n[1])), "\\pi")
    ring = s.sub(s.power(n[1], 2), s.power(n[0], 2))
    return multiple(s.mul(ring, n[2]), "\\pi")


def _draw_pipe(rng: Random) -> Params:
    inner = rng.randint(2, 15)
    outer = inner + rng.randint(1, 4)
    return (2, inner, outer, rng.randint(2, 9))


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


GEOMETRY = "geometry"
ANGLES = Family(
    "angles",
    GEOMETRY,
    {
        "elementary": lambda rng: _draw_angles(rng, 2),
        "middle": lambda rng: _draw_angles(rng, 3),
    },
    _phrase_angles,
    _work_angles,
)
RECTANGLE = Family(
    "rectangle",
    GEOMETRY,
    {
        "elementary": lambda rng: _draw_rectangle(rng, 0),
        "middle": lambda rng: _draw_rectangle(rng, 1),
        "high": lambda rng: _draw_rectangle(rng, 2),
    },
    _phrase_rectangle,
    _work_rectangle,
)
DISTANCE = Family(
    "distance",
    GEOMETRY,
    {
        "high": lambda rng: _draw_points(rng, 2, 0, 9),
        "college": lambda rng: _draw_points(rng, 2, 1, 7),
        "graduate": lambda rng: _draw_points(rng, 3, 1, 5),
    },
    _phrase_distance,
    _work_distance,
)
CIRCLE = Family(
    "circle",
    GEOMETRY,
    {
        "middle": lambda rng: (0, rng.randint(2, 12), rng.randint(2, 40)),
        "high": lambda rng: (1, rng.randint(2, 15), rng.randint(2, 30)),
        "college": _draw_pipe,
    },
    _phrase_circle,
    _work_circle,
)
TRIANGLE_AREA = Family(
    "triangle_area",
    GEOMETRY,
    {
        "high": lambda rng: _draw_triangle(rng, 0),
        "college": lambda rng: _draw_triangle(rng, 1),
        "graduate": lambda rng: _draw_triangle(rng, 2),
    },
    _phrase_triangle,
    _work_triangle,
)
