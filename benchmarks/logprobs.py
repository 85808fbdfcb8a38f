"""Our log-probabilities beside the naive ones and torch's own: seconds and peak memory.

    python benchmarks/logprobs.py [--sizes 4096x200064x64 ...] [--rounds 5] [--entropy]

A size is tokens x vocabulary x width. Each variant runs forward and backward with a random
upstream gradient, in float32 on one thread; the variants take turns, the order changing each
round. A ratio is the median over the rounds with its range. Memory is the growth of the peak
resident set over that of the inputs, each variant in a fresh process. Where mapping fresh memory is
slow it is most of the naive variant's time; MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=30000000000
in the environment makes glibc keep what was mapped, and shows arithmetic alone.

    naive   log_softmax of all logits, then gather
    torch   F.linear_cross_entropy in its chunked form, where torch has it
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional as F

from minireason.model.logprobs import token_logprobs

SIZES = [
    "1500x800x192",
    "16384x800x192",
    "1500x32000x192",
    "4096x32000x64",
    "4096x200064x64",
    "4096x200064x256",
]
Variant = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def ours(hidden_ND: torch.Tensor, weight_VD: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
    return token_logprobs(hidden_ND, weight_VD, targets_N)[0]


def ours_with_entropy(
    hidden_ND: torch.Tensor, weight_VD: torch.Tensor, targets_N: torch.Tensor
) -> torch.Tensor:
    return token_logprobs(hidden_ND, weight_VD, targets_N, with_entropy=True)[0]


def naive(
    hidden_ND: torch.Tensor, weight_VD: torch.Tensor, targets_N: torch.Tensor
) -> torch.Tensor:
    return (hidden_ND @ weight_VD.T).log_softmax(-1).gather(-1, targets_N[:, None]).squeeze(-1)


def chunked_by_torch(
    hidden_ND: torch.Tensor, weight_VD: torch.Tensor, targets_N: torch.Tensor
) -> torch.Tensor:
    options = torch.nn.LinearCrossEntropyOptions()
    return -F.linear_cross_entropy(
        hidden_ND, weight_VD, targets_N, reduction="none", options=options
    )


VARIANTS: dict[str, Variant] = {"ours": ours, "naive": naive}
if hasattr(torch.nn, "LinearCrossEntropyOptions"):
    VARIANTS["torch"] = chunked_by_torch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=SIZES, help="tokens x vocabulary x width")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--entropy", action="store_true", help="also ours with the entropy")
    parser.add_argument("--only", nargs="+", help="variants (naive is always measured)")
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.entropy or arguments.memory_of == "ours+entropy":
        VARIANTS["ours+entropy"] = ours_with_entropy
    if arguments.memory_of:
        print(peak_growth(VARIANTS[arguments.memory_of], arguments.sizes[0]))
        return
    names = [n for n in VARIANTS if n == "naive" or n in (arguments.only or VARIANTS)]
    print(f"torch {torch.__version__}, 1 thread, {arguments.rounds} rounds\n")
    print("| tokens x vocabulary x width | variant | s | of naive (range) | peak MiB | of naive |")
    print("|---|---|---|---|---|---|")
    for size in arguments.sizes:
        show(size, names, arguments.rounds)


def show(size: str, names: list[str], num_rounds: int) -> None:
    memory = {name: memory_in_a_fresh_process(name, size) for name in names}
    seconds = timed_in_turns(names, make(size), num_rounds)
    for name in names:
        ratios = [a / b for a, b in zip(seconds[name], seconds["naive"], strict=True)]
        print(
            f"| {size} | {name} | {statistics.median(seconds[name]):.4g} "
            f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f}) "
            f"| {memory[name]:,.0f} | {memory[name] / memory['naive']:.3f} |",
            flush=True,
        )


def make(size: str) -> list[torch.Tensor]:
    num_tokens, vocab_size, width = map(int, size.split("x"))
    torch.manual_seed(0)
    hidden_ND = torch.randn(num_tokens, width, requires_grad=True)
    weight_VD = torch.randn(vocab_size, width).div_(width**0.5).requires_grad_()
    return [hidden_ND, weight_VD, torch.randint(vocab_size, (num_tokens,)), torch.randn(num_tokens)]


def run(variant: Variant, inputs: list[torch.Tensor]) -> None:
    hidden_ND, weight_VD, targets_N, upstream_N = inputs
    logprobs_N = variant(hidden_ND, weight_VD, targets_N)
    torch.autograd.grad(logprobs_N, (hidden_ND, weight_VD), upstream_N)


def timed_in_turns(
    names: list[str], inputs: list[torch.Tensor], num_rounds: int
) -> dict[str, list[float]]:
    """Seconds of each variant in each round, the median of ten runs where a run is short."""
    run(VARIANTS["ours"], inputs)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(num_rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            taken = [timed(VARIANTS[name], inputs)]
            while len(taken) < 10 and sum(taken) < 0.5:
                taken.append(timed(VARIANTS[name], inputs))
            seconds[name].append(statistics.median(taken))
    return seconds


def timed(variant: Variant, inputs: list[torch.Tensor]) -> float:
    start = time.perf_counter()
    run(variant, inputs)
    return time.perf_counter() - start


def memory_in_a_fresh_process(name: str, size: str) -> float:
    """MiB."""
    command = [sys.executable, __file__, "--memory-of", name, "--sizes", size]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def peak_growth(variant: Variant, size: str) -> float:
    run(variant, make("8x16x8"))  # what a first call loads once
    inputs = make(size)
    before = peak_memory()
    run(variant, inputs)
    return peak_memory() - before


def peak_memory() -> float:
    """MiB; not getrusage's ru_maxrss, which a child process inherits from its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024


if __name__ == "__main__":
    main()
