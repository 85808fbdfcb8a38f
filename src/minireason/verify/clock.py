"""Times of day: `4:30 p.m.`, `4:30\\text{ PM}`, `16:30`."""

from __future__ import annotations

import re

_TIME = re.compile(r"(\d{1,2})(?::([0-5]\d))?(?::([0-5]\d))? ?(?:([ap])\.? ?m)?")


def same_time(reference: str, answer: str) -> bool | None:
    """Whether two folded texts say the same time; None unless one of them says a.m. or p.m.

    Without a.m. or p.m. a time up to 12:59 is taken for either.
    """
    gold, given = _TIME.fullmatch(reference), _TIME.fullmatch(answer)
    if gold is None or given is None or not (gold[4] or given[4]):
        return None
    if not gold[4] or not given[4]:
        bare = given if gold[4] else gold
        if int(bare[1]) <= 12:
            return _on_the_dial(gold) == _on_the_dial(given)
    return _seconds(gold) == _seconds(given)


def _on_the_dial(time: re.Match[str]) -> tuple[int, ...]:
    return int(time[1]) % 12, int(time[2] or 0), int(time[3] or 0)


def _seconds(time: re.Match[str]) -> tuple[int, ...]:
    hour, minute, second = _on_the_dial(time)
    is_late = time[4] == "p" or (not time[4] and int(time[1]) > 12)
    return hour + 12 * is_late, minute, second
