"""Training metrics as JSON lines: one line a step, the same bytes after a resume."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from minireason.runfolder import write_text


class MetricsLog:
    """Appends to `metrics.jsonl`; what depends on the clock goes to `timing.jsonl` instead."""

    def __init__(self, folder: Path) -> None:
        self.metrics_path = folder / "metrics.jsonl"
        self.timing_path = folder / "timing.jsonl"

    def keep_first(self, num_steps: int) -> None:
        """Forget what was logged after `num_steps` steps: those steps are done again."""
        for path in (self.metrics_path, self.timing_path):
            lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
            kept = [line for line in lines if _step_of(line) <= num_steps]
            write_text(path, "".join(line + "\n" for line in kept))

    def write(self, metrics: Mapping[str, float], timing: Mapping[str, float]) -> None:
        """Append one step's line to each file; both hold the 1-based `step`."""
        for path, values in ((self.metrics_path, metrics), (self.timing_path, timing)):
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(dict(values)) + "\n")


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (json.JSONDecodeError, KeyError):
        return float("inf")  # a line cut off by a kill
