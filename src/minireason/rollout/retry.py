"""Which answers of a server are worth another try, and how long to wait before it."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_BACKOFF_S = 60.0
LONGEST_RETRY_AFTER_S = 600.0


def is_retriable(status: int) -> bool:
    """Whether the same request may succeed later: timeouts, rate limits, server errors."""
    return status in (408, 429) or status >= 500


def wait_s(attempt: int, backoff_s: float, seed: int, retry_after: str = "") -> float:
    """Seconds to wait after try number `attempt` (from 0) failed.

    The wait doubles each time, with up to a quarter added so that requests that failed together
    do not come back together. `retry_after`, the header's seconds or date, is the least wait.
    """
    backoff = min(backoff_s * 2.0**attempt, LONGEST_BACKOFF_S)
    jittered = backoff * (1.0 + 0.25 * random.Random(seed + attempt).random())
    return max(jittered, min(_retry_after_s(retry_after), LONGEST_RETRY_AFTER_S))


def _retry_after_s(header: str) -> float:
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
