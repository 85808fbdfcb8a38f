"""Counting: menus, overlaps, committees, grid paths."""

from __future__ import annotations

from random import Random

from minireason.problems.family import Family, Params
from minireason.problems.scratch import Scratch


def _draw_menu(rng: Random, is_long: bool) -> Params:
    if not is_long:
        return (*sorted((rng.randint(2, 12), rng.randint(2, 12))), rng.randint(2, 30))
    first = sorted(rng.randint(2, 9) for _ in range(3))
    return (*first, *sorted((rng.randint(2, 12), rng.randint(2, 12))))


def _phrase_menu(params: Params) -> tuple[str, ...]:
    if len(params) == 3:
        a, b, c = params
        return (
            f"A menu has {a} soups, {b} mains and {c} cakes. You pick a soup and a main, or only "
            "a cake. How many ways are there?",
            f"Tom wears one of {a} hats with one of {b} coats, or one of {c} suits. How many "
            "looks are there?",
            f"A code is one of {a} letters and one of {b} digits, or one of {c} signs. How many "
            "codes are there?",
        )
    a, b, c, d, e = params
    return (
        f"A lunch has {a} soups, {b} mains and {c} cakes. A dinner has {d} soups and {e} mains. "
        "You pick one of each kind for one meal. How many ways are there?",
        f"Tom wears one of {a} hats, {b} coats and {c} pants, or one of {d} shirts and {e} suits. "
        "How many looks are there?",
        f"A code is one of {a} letters, {b} digits and {c} signs, or one of {d} words and {e} "
        "signs. How many codes are there?",
    )


def _work_menu(params: Params, s: Scratch) -> str:
    if len(params) == 3:
        return str(s.add(s.mul(params[0], params[1]), params[2]))
    a, b, c, d, e = params
    first = s.mul(s.mul(a, b), c)
    return str(s.add(first, s.mul(d, e)))


def _draw_overlap(rng: Random, is_total: bool) -> Params:
    """(a, b, both), then the size of the whole group."""
    left, right, both = rng.randint(3, 40), rng.randint(3, 40), rng.randint(2, 20)
    total = (left + right + both + rng.randint(2, 40),) if is_total else ()
    return (left + both, right + both, both, *total)


def _draw_three_sets(rng: Random) -> Params:
    """The sizes of three sets, of their overlaps two by two, and of what is in all three."""
    x, y, z, xy, xz, yz, xyz = (rng.randint(2, 12) for _ in range(7))
    sizes = (x + xy + xz + xyz, y + xy + yz + xyz, z + xz + yz + xyz)
    return (*sizes, xy + xyz, xz + xyz, yz + xyz, xyz)


def _phrase_overlap(params: Params) -> tuple[str, ...]:
    if len(params) == 7:
        a, b, c, ab, ac, bc, abc = params
        return tuple(
            f"{a} {who} {x}, {b} {y}, {c} {z}, {ab} {x} and {y}, {ac} {x} and {z}, {bc} {y} and "
            f"{z}, {abc} all three. How many {who} at least one?"
            for who, x, y, z in (
                ("people like", "tea", "milk", "water"),
                ("children play", "chess", "ball", "cards"),
                ("students take", "art", "music", "sport"),
            )
        )
    a, b, both, *group = params
    return tuple(
        (f"Of {group[0]} {who}, " if group else f"In a group of {who}, ")
        + f"{a} {do} {x}, {b} {do} {y} and {both} {do} both. How many {do} "
        + ("neither?" if group else "at least one?")
        for who, do, x, y in (
            ("people", "like", "tea", "milk"),
            ("children", "play", "chess", "ball"),
            ("students", "take", "art", "music"),
        )
    )


def _work_overlap(params: Params, s: Scratch) -> str:
    if len(params) == 7:
        a, b, c, ab, ac, bc, abc = params
        total = s.add(s.add(a, b), c)
        return str(s.add(s.sub(s.sub(s.sub(total, ab), ac), bc), abc))
    a, b, both, *group = params
    either = s.sub(s.add(a, b), both)
    return str(s.sub(group[0], either) if group else either)


def _binomial(s: Scratch, n: int, k: int) -> int:
    """n choose k by steps that stay whole: times n-i, over i+1."""
    k = min(k, n - k)
    if k > 1:
        s.say(f"C({n},{k}):")
    value = n if k else 1
    for i in range(1, k):
        value = s.div(s.mul(value, n - i), i + 1)
    return value


def _draw_committee(rng: Random, high: int, most: int) -> Params:
    """(a, j, b, k, 1) for j of a and k of b, 0 at the end for j of a or else k of b."""
    if rng.random() < 0.4:
        return (rng.randint(3, high), 2, rng.randint(3, high), most - 1, 1)
    j, k = rng.randint(2, most), rng.randint(2, most)
    return (rng.randint(2 * j, high), j, rng.randint(2 * k, high), k, 0)


def _phrase_committee(params: Params) -> tuple[str, ...]:
    a, j, b, k, is_both = params
    joint = "and" if is_both else "or else"
    return tuple(
        f"How many ways are there to choose {j} of {a} {x} {joint} {k} of {b} {y}?"
        for x, y in (("girls", "boys"), ("books", "games"), ("cats", "dogs"), ("soups", "cakes"))
    )


def _work_committee(params: Params, s: Scratch) -> str:
    a, j, b, k, is_both = params
    first, second = _binomial(s, a, j), _binomial(s, b, k)
    return str(s.mul(first, second) if is_both else s.add(first, second))


def _draw_grid(rng: Random) -> Params:
    """(x, y, c, d): the paths from (x,y) to (c,d)."""
    right, up = rng.randint(2, 9), rng.randint(2, 9)
    x, y = rng.randint(0, 9), rng.randint(0, 9)
    return (x, y, x + right, y + up)


def _draw_grid_stop(rng: Random) -> Params:
    """(x, y, c, d, a, b, avoid): the paths from (x,y) to (c,d) through (a,b), or around it."""
    x, y = rng.randint(0, 6), rng.randint(0, 6)
    a, b, c, d = (rng.randint(1, 5) for _ in range(4))
    return (x, y, x + a + c, y + b + d, x + a, y + b, rng.choice((0, 0, 1)))


def _phrase_grid(params: Params) -> tuple[str, ...]:
    x, y, c, d, *stop = params
    end = ""
    if stop:
        a, b, is_around = stop
        end = f" {'around' if is_around else 'through'} ({a},{b})"
    return (
        f"How many right and up paths go from ({x},{y}) to ({c},{d}){end}?",
        f"Count the right and up paths from ({x},{y}) to ({c},{d}){end}.",
        f"A robot goes from ({x},{y}) to ({c},{d}){end} by right and up steps. How many paths "
        "are there?",
    )


def _paths(s: Scratch, start: tuple[int, int], end: tuple[int, int]) -> int:
    """The paths of right and up steps between two points."""
    right, up = (s.sub(b, a) if a else b for a, b in zip(start, end, strict=True))
    return _binomial(s, s.add(right, up), right)


def _work_grid(params: Params, s: Scratch) -> str:
    x, y, c, d, *stop = params
    if not stop:
        return str(_paths(s, (x, y), (c, d)))
    a, b, is_around = stop
    first = _paths(s, (x, y), (a, b))
    through = s.mul(first, _paths(s, (a, b), (c, d)))
    return str(s.sub(_paths(s, (x, y), (c, d)), through) if is_around else through)


MENU = Family(
    "menu",
    "counting",
    {
        "elementary": lambda rng: _draw_menu(rng, False),
        "middle": lambda rng: _draw_menu(rng, True),
    },
    _phrase_menu,
    _work_menu,
)


OVERLAP = Family(
    "overlap",
    "counting",
    {
        "elementary": lambda rng: _draw_overlap(rng, False),
        "middle": lambda rng: _draw_overlap(rng, True),
        "high": _draw_three_sets,
    },
    _phrase_overlap,
    _work_overlap,
)


COMMITTEE = Family(
    "committee",
    "counting",
    {
        "high": lambda rng: _draw_committee(rng, 18, 2),
        "college": lambda rng: _draw_committee(rng, 16, 3),
    },
    _phrase_committee,
    _work_committee,
)


GRID_PATHS = Family(
    "grid_paths",
    "counting",
    {"college": _draw_grid, "graduate": _draw_grid_stop},
    _phrase_grid,
    _work_grid,
)
