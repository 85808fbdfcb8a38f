"""Geometry: angles, rectangles and boxes, round bodies."""

from __future__ import annotations

from random import Random

from minireason.problems.family import Family, Params
from minireason.problems.notation import multiple
from minireason.problems.scratch import Scratch


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


ANGLES = Family(
    "angles",
    "geometry",
    {
        "elementary": lambda rng: _draw_angles(rng, 2),
        "middle": lambda rng: _draw_angles(rng, 3),
    },
    _phrase_angles,
    _work_angles,
)


RECTANGLE = Family(
    "rectangle",
    "geometry",
    {
        "elementary": lambda rng: _draw_rectangle(rng, 0),
        "middle": lambda rng: _draw_rectangle(rng, 1),
        "high": lambda rng: _draw_rectangle(rng, 2),
    },
    _phrase_rectangle,
    _work_rectangle,
)


CIRCLE = Family(
    "circle",
    "geometry",
    {
        "middle": lambda rng: (0, rng.randint(2, 12), rng.randint(2, 40)),
        "high": lambda rng: (1, rng.randint(2, 15), rng.randint(2, 30)),
        "college": _draw_pipe,
    },
    _phrase_circle,
    _work_circle,
)
