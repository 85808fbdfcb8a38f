"""`python -m minireason.export.timed TASK FOUND`: load a model, feed it tokens, write what it took.

The process that `footprint.py` starts. Of ONNX and GGUF it imports no torch, whose memory would
count. Times are of the loop that a sampler has: logits out, the likeliest token found, the next
token in; the token that goes in is a given one, so that every model does the same work.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

Begin = Callable[[Sequence[int], int], int]
"""Forget everything and take a prompt of a sequence of so many tokens: the likeliest next one."""
Step = Callable[[int], int]
"""Take one more token: the likeliest next one."""


def main(task_path: str, found_path: str) -> None:
    """Do the task of a file and write the times into another."""
    task = json.loads(Path(task_path).read_text(encoding="utf-8"))
    started = time.perf_counter()
    begin, step = OPENERS[task["runs"]](Path(task["folder"]), task["threads"])
    loaded_s = time.perf_counter() - started
    length = len(task["prompt_ids"]) + len(task["token_ids"])
    first, rates = [], []
    for _ in range(1 + task["num_rounds"]):
        started = time.perf_counter()
        begin(task["prompt_ids"], length)
        first.append(time.perf_counter() - started)
        started = time.perf_counter()
        for token in task["token_ids"]:
            step(token)
        rates.append(len(task["token_ids"]) / (time.perf_counter() - started))
    found = {
        "load_s": loaded_s,
        "first_token_s": statistics.median(first[1:]),
        "tokens_per_s": statistics.median(rates[1:]),
        "peak_bytes": peak_bytes(),
    }
    Path(found_path).write_text(json.dumps(found), encoding="utf-8")


def open_exported(folder: Path, threads: int) -> tuple[Begin, Step]:
    """An export in its runtime."""
    from minireason.edge.runtime import open_runtime

    runtime = open_runtime(folder, threads=threads)

    def begin(ids: Sequence[int], length: int) -> int:
        runtime.end(0)
        return int(runtime.begin(0, ids, length).argmax())

    def step(token: int) -> int:
        return int(runtime.step({0: token})[0].argmax())

    return begin, step


def open_transformers(folder: Path, threads: int) -> tuple[Begin, Step]:
    """A transformers model with its own cache of keys and values, in float32 unless quantised."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    cache: Any = None

    def forward(ids: Sequence[int]) -> int:
        nonlocal cache
        output = model(
            torch.tensor([list(ids)]), past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        cache = output.past_key_values
        return int(output.logits[0, -1].argmax())

    def begin(ids: Sequence[int], _: int) -> int:
        nonlocal cache
        cache = None
        return forward(ids)

    return begin, lambda token: forward([token])


OPENERS = {"runtime": open_exported, "transformers": open_transformers}


def peak_bytes() -> int:
    """The most memory that was resident in this process.

    Linux counts in `ru_maxrss` what the parent held at the fork, so its own account is read there.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        (kib,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
        return kib * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    main(*sys.argv[1:])
