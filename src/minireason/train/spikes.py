"""Loss spikes: a loss far above those before it, which may need a look or an earlier checkpoint."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from statistics import median

MAD_TO_STD = 1.4826
"""Standard deviation over median absolute deviation of a normal distribution."""

MIN_DEVIATION = 1e-3
"""In nats: less than this is no variation to speak of."""


class SpikeDetector:
    """Compares each loss with the running median and deviation of the last `window` losses.

    Median and median absolute deviation are not moved by the spikes themselves (Leys et al. 2013,
    doi 10.1016/j.jesp.2013.03.013). Its whole state is the last losses: a detector given those of
    `metrics.jsonl` goes on as the one that saw them.
    """

    def __init__(
        self, losses: Iterable[float] = (), *, window: int = 50, num_deviations: float = 8.0
    ) -> None:
        self.num_deviations = num_deviations
        self._recent: deque[float] = deque(filter(math.isfinite, losses), maxlen=window)

    def note(self, loss: float) -> str | None:
        """One line if the loss is not finite or jumps up, else None; then remember the loss.

        Nothing is said of a finite loss before the window is full.
        """
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        usual = self._usual()
        self._recent.append(loss)
        if usual is None:
            return None
        centre, deviation = usual
        excess = (loss - centre) / deviation
        if excess <= self.num_deviations:
            return None
        return (
            f"loss {loss:.4f} is {excess:.0f} deviations above {centre:.4f}, the median of the "
            f"last {self._recent.maxlen} steps"
        )

    def _usual(self) -> tuple[float, float] | None:
        """Median and deviation of a full window; one that hardly varies counts as 1 % of it."""
        if len(self._recent) < (self._recent.maxlen or 0):
            return None
        centre = median(self._recent)
        spread = MAD_TO_STD * median(abs(loss - centre) for loss in self._recent)
        return centre, max(spread, 0.01 * abs(centre), MIN_DEVIATION)
