"""Where a step's time goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator


class Phases:
    """Seconds by phase, from one step's line to the next."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    @contextlib.contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the time of what runs inside to the phase."""
        started = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - started
            self._seconds[name] = self._seconds.get(name, 0.0) + elapsed

    def take(self, step: int, num_tokens: float) -> dict[str, float]:
        """The line of a step: its seconds, tokens a second, seconds by phase; then start again.

        A checkpoint is saved after the line of its step is written, so its time is in the next.
        """
        now = time.perf_counter()
        elapsed_s, self._since = now - self._since, now
        phases = {f"{name}_s": round(seconds, 4) for name, seconds in self._seconds.items()}
        self._seconds = {}
        rate = round(num_tokens / elapsed_s, 1)
        return {"step": step, "elapsed_s": round(elapsed_s, 4), "tokens_per_s": rate} | phases
