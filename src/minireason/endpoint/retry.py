"""Which faults are worth another try, which end everything, and how long to wait."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

LONGEST_BACKOFF_S = 60.0
MOST_DOUBLINGS = 6
LONGEST_RETRY_AFTER_S = 600.0
SPREAD = 0.25
REFUSALS = frozenset({401, 402, 403, 404, 405})  # key, balance, rights, URL or model

Kind = Literal["passing", "limit", "final", "refusal"]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a try failed, and what follows.

    "passing": try again. "limit": too many requests, try again later. "final": this request will
    never do. "refusal": no request will.
    """

    reason: str
    kind: Kind = "passing"
    pause_s: float = 0.0


def fault_of(status: int, reason: str, retry_after: str = "") -> Fault:
    """The fault of an answer that is no success; `retry_after` is the header's text."""
    if status in (429, 503):
        return Fault(reason, "limit", min(retry_after_s(retry_after), LONGEST_RETRY_AFTER_S))
    if status in REFUSALS or status < 400:
        return Fault(reason, "refusal")
    return Fault(reason, "passing" if status in (408, 409, 425) or status >= 500 else "final")


def backoff_wait_s(attempt: int, backoff_s: float, seed: int) -> float:
    """Seconds to wait after try number `attempt` (from 0) failed.

    The wait doubles each time, `MOST_DOUBLINGS` times at most, with up to a quarter added so that
    requests that failed together do not come back together.
    """
    doubled_s = backoff_s * 2.0 ** min(attempt, MOST_DOUBLINGS)
    return min(doubled_s, LONGEST_BACKOFF_S) * (1.0 + jitter(seed))


def jitter(seed: int) -> float:
    """A part of `SPREAD`, drawn from the number of the request."""
    return SPREAD * random.Random(seed).random()


def retry_after_s(header: str) -> float:
    """The seconds that a Retry-After header asks for, given as a number or as a date; else 0."""
    try:
        seconds = float(header)
        return seconds if 0.0 <= seconds < float("inf") else 0.0
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
