"""Our training beside TRL's on one machine: speed, memory, gradients and learning curves.

    python benchmarks/train.py [--only sft dpo memory equal curve] [--threads 1 2] [--rounds 5]

Every run is a process of its own, and the sides take turns, in another order each round. A number
is the median over the rounds, a ratio the median of the rounds' ratios with its range; the first
steps are not counted. What each side is given is said in `beside_trl/__init__.py`. Threads wait as
our command line has them wait, on both sides (GOMP_SPINCOUNT=5000).

    sft     useful (non-padding) tokens a second, 8 rows a step; TRL packs by its `bfd`, or pads.
            Two models: 2.95M parameters with rows of 256 tokens, the carried 1.7M with 448
    dpo     pairs a second with the reference's pass, 8 pairs a step. TRL's reference is computed
            beforehand, or live in the step
    memory  growth of the resident set in one step of 4,096 tokens at a vocabulary of 200,064
    equal   largest difference of loss and gradients on one batch
    curve   loss by useful tokens of the carried base, on the same batches in the same order
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import turns
from turns import Run, in_turns, over

WARMUP = 3
PARTS = ("equal", "memory", "curve", "sft", "dpo")
MODELS = ("2.95M", "carried")
SFT = ("ours packed", "ours unpacked", "trl packed", "trl padded")
DPO = ("ours", "trl precomputed", "trl live")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=12, help="that are timed in a run")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        from beside_trl.runs import carry_out

        print(json.dumps(carry_out(json.loads(arguments.child))))
        return
    for part in arguments.only:
        show(part, arguments)


def show(part: str, arguments: argparse.Namespace) -> None:
    print(f"\n### {part}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if part in ("sft", "dpo"):
            for table in speeds(part, arguments, folder):
                print(table, flush=True)
        else:
            print({"equal": equal, "memory": memory, "curve": curve}[part](folder), flush=True)


def child(run: Run) -> Any:
    return turns.child(__file__, run)


def speeds(part: str, arguments: argparse.Namespace, folder: str) -> Iterator[str]:
    names, unit = (SFT, "useful tokens/s") if part == "sft" else (DPO, "pairs/s")
    columns = ["model", "threads", "side", unit, *(f"{name} / it" for name in ours(names)), "load"]
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for model in arguments.models:
        for threads in arguments.threads:
            run = {"part": part, "model": model, "threads": threads, "folder": folder}
            run |= {"steps": arguments.steps, "warmup": WARMUP}
            rates, load = in_turns(names, arguments.rounds, partial(rate, run))
            for name in names:
                ratios = [over(rates[n], rates[name]) for n in ours(names)]
                cells = [model, threads, name, f"{statistics.median(rates[name]):,.1f}", *ratios]
                yield f"| {' | '.join(map(str, cells))} | {load} |"


def rate(run: Run, side: str, _: int) -> float:
    return float(child(run | {"side": side}))


def ours(names: Sequence[str]) -> list[str]:
    return [name for name in names if name.startswith("ours")]


def equal(folder: str) -> str:
    """Differences relative to the loss, and to each gradient's largest element."""
    lines = ["| objective | loss, relative | gradient, of its largest element |", "|---|---|---|"]
    for objective in ("sft", "dpo"):
        run = {"part": "equal", "objective": objective, "model": "carried", "folder": folder}
        loss, gradient = child(run)
        lines.append(f"| {objective} | {loss:.1e} | {gradient:.1e} |")
    return "\n".join(lines)


def memory(folder: str) -> str:
    lines = ["| side | growth of the resident set in one step, MiB |", "|---|---|"]
    child({"part": "prepare", "folder": folder})
    for side in ("ours", "trl"):
        growth = child({"part": "memory", "side": side, "folder": folder})
        lines.append(f"| {side} | {growth:,.0f} |")
    return "\n".join(lines)


def curve(folder: str, num_steps: int = 200) -> str:
    """Every tenth of the curves, means over ten steps, and the largest difference of one step."""
    run = {"part": "curve", "model": "carried", "folder": folder, "steps": num_steps}
    sides = ("ours unpacked", "trl padded", "ours packed")
    found = {side: child(run | {"side": side}) for side in sides}
    lines = [
        "| useful tokens | ours | TRL, padded | useful tokens | ours, packed |",
        "|---" * 5 + "|",
    ]
    (tokens, mine), (_, others), (packed_tokens, packed) = (found[side] for side in sides)
    for end in range(num_steps // 10, num_steps + 1, num_steps // 10):
        means = [statistics.mean(losses[end - 10 : end]) for losses in (mine, others, packed)]
        lines.append(
            f"| {tokens[end - 1]:,} | {means[0]:.4f} | {means[1]:.4f} "
            f"| {packed_tokens[end - 1]:,} | {means[2]:.4f} |"
        )
    largest = max(abs(a - b) for a, b in zip(mine, others, strict=True))
    return "\n".join([*lines, "", f"Largest difference of a step's loss: {largest:.1e} nats."])


if __name__ == "__main__":
    main()
