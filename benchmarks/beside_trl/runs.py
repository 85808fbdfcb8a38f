"""What one process measures, by the part of the benchmark that it is for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from beside_trl import ours
from beside_trl.data import batches, examples, layout, pairs, sequences, shaped
from beside_trl.setting import BATCH, Clock
from minireason.model.threads import use_threads
from minireason.train.data import PackedData

NUM_PROBLEMS = 600
MAX_LENGTH = {"2.95M": 256, "carried": 448}
LARGE_VOCABULARY = {
    "vocab_size": 200_064,
    "hidden_size": 128,
    "intermediate_size": 352,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}

Run = dict[str, Any]


def carry_out(run: Run) -> Any:
    """The number, or the numbers, of a run."""
    num_threads = int(os.environ["OMP_NUM_THREADS"])
    if run.get("side", "").startswith("trl"):
        torch.set_num_threads(num_threads)  # without our deterministic algorithms, which cost time
    else:
        use_threads(num_threads)
    return PARTS[run["part"]](run)


def prepare(run: Run) -> str:
    """Write the model that memory is measured with, where nobody else's memory grows by it."""
    return shaped(Path(run["folder"]) / "large", **LARGE_VOCABULARY)


def base_of(run: Run) -> str:
    if run["model"] == "carried":
        return "tiny"
    folder = Path(run["folder"]) / "model"
    return str(folder) if folder.exists() else shaped(folder)


def sft(run: Run) -> float:
    """Useful tokens a second."""
    return trained(run, run["warmup"] + run["steps"]).rate(run["warmup"])


def curve(run: Run) -> tuple[list[int], list[float]]:
    """Useful tokens so far and loss, at each step."""
    clock = trained(run, run["steps"], with_losses=True)
    return clock.done, clock.losses


def trained(run: Run, num_steps: int, *, with_losses: bool = False) -> Clock:
    """A fine-tuning; without packing both sides have the same batches in the same order."""
    base, max_length = base_of(run), MAX_LENGTH[run["model"]]
    who, how = run["side"].split()
    units = examples(base, NUM_PROBLEMS, max_length)
    data = PackedData(units, layout(max_length, num_steps, packing=how == "packed"), seed=0)
    if who == "ours":
        return ours.sft(base, data)
    from beside_trl import theirs

    ids = [ids for step in batches(data) for ids in sequences(step)]
    packing = how == "packed"
    return theirs.sft(base, ids, num_steps, max_length, packing=packing, with_losses=with_losses)


def dpo(run: Run) -> float:
    """Pairs a second, each scored once by the reference and trained on once."""
    base, max_length = base_of(run), MAX_LENGTH[run["model"]]
    num_steps = run["warmup"] + run["steps"]
    units = pairs(base, 2 * num_steps * BATCH, max_length)[: num_steps * BATCH]
    if run["side"] == "ours":
        clocks = ours.dpo(base, units, max_length, num_steps)
    else:
        from beside_trl import theirs

        is_live = run["side"] == "trl live"
        clocks = theirs.dpo(base, units, max_length, num_steps, is_live=is_live)
    return 1 / sum(1 / clock.rate(run["warmup"]) for clock in clocks if clock.done)


def memory(run: Run) -> float:
    """MiB that one step adds to the resident set: 8 rows of 512 tokens."""
    base = str(Path(run["folder"]) / "large")
    tokens = torch.randint(5, 800, (8, 512), generator=torch.Generator().manual_seed(0)).tolist()
    if run["side"] == "ours":
        return ours.growth(base, tokens, resident)
    from beside_trl import theirs

    return theirs.growth(base, tokens, resident)


def resident(peak: bool) -> float:
    """MiB of this process; not getrusage's, which a child inherits from its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    name = "VmHWM" if peak else "VmRSS"
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 1024


def equal(run: Run) -> tuple[float, float]:
    from beside_trl import equality

    return equality.sft("tiny") if run["objective"] == "sft" else equality.dpo("tiny")


PARTS: dict[str, Callable[[Run], Any]] = {
    "sft": sft,
    "dpo": dpo,
    "curve": curve,
    "prepare": prepare,
    "memory": memory,
    "equal": equal,
}
