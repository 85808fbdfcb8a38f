"""Training metrics as JSON lines: one line a step, the same bytes after a resume."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from minireason.runfolder import write_text
from minireason.train.tracking import Trackers, no_trackers


class MetricsLog:
    """Appends to `metrics.jsonl`; what depends on the clock goes to `timing.jsonl` instead.

    Both go to the trackers too, which `open_trackers(num_steps)` opens where training begins.
    """

    def __init__(
        self, folder: Path, open_trackers: Callable[[int], Trackers] = no_trackers
    ) -> None:
        self.metrics_path = folder / "metrics.jsonl"
        self.timing_path = folder / "timing.jsonl"
        self._open_trackers = open_trackers
        self._trackers = Trackers()

    def keep_first(self, num_steps: int) -> None:
        """Forget what was logged after `num_steps` steps: those steps are done again."""
        for path in (self.metrics_path, self.timing_path):
            kept = [json.dumps(line) for line in _lines(path) if line["step"] <= num_steps]
            write_text(path, "".join(line + "\n" for line in kept))
        self._trackers = self._open_trackers(num_steps)
        for metrics in _lines(self.metrics_path):
            self._trackers.log(metrics["step"], metrics)

    def write(self, metrics: Mapping[str, float], timing: Mapping[str, float]) -> None:
        """Append one step's line to each file; both hold the 1-based `step`."""
        for path, values in ((self.metrics_path, metrics), (self.timing_path, timing)):
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({k: _written(v) for k, v in values.items()}) + "\n")
        self._trackers.log(int(metrics["step"]), {**timing, **metrics})

    def series(self, name: str) -> list[float]:
        """What was logged under a name, in the order of the steps."""
        values = (line.get(name) for line in _lines(self.metrics_path))
        return [value for value in values if value is not None]

    def close(self) -> None:
        """Let the trackers send what they still hold."""
        self._trackers.close()


def _written(value: float) -> float | None:
    """JSON has no infinities and no NaN: null stands for them."""
    return value if math.isfinite(value) else None


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that may not be there, but for one cut off by a kill."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return [line for line in found if isinstance(line, dict) and "step" in line]
