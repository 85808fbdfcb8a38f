"""Sides of a comparison in processes of their own, which take turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Run = dict[str, Any]
T = TypeVar("T")


def child(script: str, run: Run) -> Any:
    """What a run in a process of its own prints: `script --child RUN`, on the run's `threads`.

    Threads wait as our command line has them wait.
    """
    threads = str(run.get("threads", 1))
    waiting = {} if "OMP_WAIT_POLICY" in os.environ else {"GOMP_SPINCOUNT": "5000"}
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    environment = {**os.environ, **waiting, **quiet, "OMP_NUM_THREADS": threads}
    command = [sys.executable, script, "--child", json.dumps(run)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{run} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def in_turns(
    names: Sequence[str], num_rounds: int, measure: Callable[[str, int], T]
) -> tuple[dict[str, list[T]], str]:
    """What `measure(name, round)` found of each name in each round, another name beginning each,
    and the range of the load."""
    found: dict[str, list[T]] = {name: [] for name in names}
    loads = []
    for number in range(num_rounds):
        turn = number % len(names)
        for name in [*names[turn:], *names[:turn]]:
            loads.append(os.getloadavg()[0])
            found[name].append(measure(name, number))
            print(f"{name}: {found[name][-1]}", file=sys.stderr, flush=True)
    return found, f"{min(loads):.1f} - {max(loads):.1f}"


def over(mine: Sequence[float], other: Sequence[float]) -> str:
    """The median of the rounds' ratios, and their range."""
    ratios = [a / b for a, b in zip(mine, other, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
