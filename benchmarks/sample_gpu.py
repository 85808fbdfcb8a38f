"""Speed of decoding at full size on one CUDA device, as a share of what its memory allows.

    python benchmarks/sample_gpu.py [--side ...] [--batch 1 32 256] [--steps 64] [--out table.md]
    python benchmarks/sample_gpu.py --dry-run-cpu

A Markdown table: Phi-4-mini's 3.8B configuration, random weights, everything in bfloat16, responses
to one prompt of 1,024 tokens, drawn at temperature 1. A step cannot take less than reading all the
weights and the keys and values of all tokens so far takes; that time over the median step's is the
share, and 70 % the aim. `sampler` is the whole of a step, draw and bookkeeping included; `forward`
is the forward pass alone, and `forward, compiled` the same through torch.compile, to show what its
many small kernels cost. transformers' generate does the same beside it. Each side is a process of
its own; what does not fit says so. The dry run is the same code at a tiny size on a CPU; the full
size has not been run on a GPU.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import transformers
from train_gpu import CASES, configuration
from transformers import StoppingCriteria, StoppingCriteriaList

from minireason.model.attention import ATTENTION
from minireason.model.devices import peak_bandwidth, peak_memory_gib
from minireason.model.rope import share_frequencies
from minireason.rollout.cache import SlotCache, whole_spans
from minireason.rollout.capture import Capture, cuda_capture
from minireason.rollout.engine import Engine
from minireason.rollout.forward import decode, prefill
from minireason.rollout.graphs import DecodeGraphs
from minireason.rollout.memory import GIB
from minireason.rollout.request import Request
from minireason.rollout.sampling import SamplingParams

PROMPT = 1024
WARMUP = 8  # steps; some of them capture or compile
HEAD = """| side | graphs | batch | ms a step | tokens/s | share of the limit | peak GiB |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True)
class Run:
    """So many responses to one prompt; the first `WARMUP` steps are not timed."""

    batch: int
    num_steps: int
    device: str

    @property
    def prompt(self) -> list[int]:
        length = PROMPT if self.device == "cuda" else 16
        return torch.randint(1, 100, (length,), generator=torch.manual_seed(0)).tolist()

    @property
    def length(self) -> int:
        return len(self.prompt) + 1 + WARMUP + self.num_steps

    @property
    def typical_context(self) -> float:
        """Keys that a row reads in the median of the timed steps."""
        return len(self.prompt) + 1 + WARMUP + (self.num_steps - 1) / 2


@dataclass(frozen=True)
class Timed:
    """Seconds of every step, and what replayed its kernels."""

    seconds: list[float]
    graphs: str


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32, 256])
    parser.add_argument("--steps", type=int, default=64, help="that are timed")
    parser.add_argument("--out", type=Path, help="also write the table here")
    parser.add_argument("--dry-run-cpu", action="store_true", help="a tiny size, on the CPU")
    parser.add_argument("--child", choices=SIDES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.dry_run_cpu and not torch.cuda.is_available():
        raise SystemExit("there is no CUDA device; use --dry-run-cpu to try the code without one")
    device = "cpu" if arguments.dry_run_cpu else "cuda"
    if arguments.child:
        for batch in sorted(arguments.batch):
            print(json.dumps(measure(arguments.child, Run(batch, arguments.steps, device))))
        return
    name = platform.processor() or "CPU" if device == "cpu" else torch.cuda.get_device_name()
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    lines = [f"{date.today()}, {name}, {versions}", "", HEAD]
    print("\n".join(lines), flush=True)
    for side in arguments.side:
        rows = in_its_own_process(side, arguments)
        lines += rows
        print("\n".join(rows), flush=True)
    if arguments.out:
        arguments.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def in_its_own_process(side: str, arguments: argparse.Namespace) -> list[str]:
    """The side's rows of the table; one that fails says so and does not keep the others."""
    command = [sys.executable, __file__, "--child", side, "--steps", str(arguments.steps)]
    command += ["--batch", *map(str, arguments.batch)]
    command += ["--dry-run-cpu"] if arguments.dry_run_cpu else []
    done = subprocess.run(command, capture_output=True, text=True)
    sys.stderr.write(done.stderr[-3000:])
    rows = [line(side, json.loads(found)) for found in done.stdout.splitlines()]
    if done.returncode:
        rows.append(f"| {side} | | | failed: see the error output | | | |")
    return rows


def line(side: str, found: dict[str, Any]) -> str:
    if "skipped" in found:
        return f"| {side} | | {found['batch']} | {found['skipped']} | | | |"
    share = "unknown peak" if found["share"] is None else f"{100 * found['share']:.1f} %"
    cells = [side, found["graphs"], found["batch"], f"{1e3 * found['step_s']:.2f}"]
    cells += [f"{found['batch'] / found['step_s']:,.0f}", share, f"{found['memory']:.1f}"]
    return f"| {' | '.join(map(str, cells))} |"


def measure(side: str, run: Run) -> dict[str, Any]:
    """The median step, its share of the limit, and the most memory that tensors took."""
    if run.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    model = model_of(side, run)
    try:
        timed = SIDES[side](model, run)
    except torch.OutOfMemoryError:
        return {"batch": run.batch, "skipped": "does not fit"}
    step_s = statistics.median(timed.seconds[WARMUP:])
    bandwidth = peak_bandwidth(run.device)
    return {
        "batch": run.batch,
        "graphs": timed.graphs,
        "step_s": step_s,
        "share": bytes_read(model, run) / bandwidth / step_s if bandwidth else None,
        "memory": peak_memory_gib(run.device)["peak_memory_gib"],
    }


def model_of(side: str, run: Run) -> Any:
    config: Any = configuration(CASES[0], run.length, is_tiny=run.device == "cpu")
    config.use_cache = True
    attention = "sdpa" if side.startswith("transformers") else ATTENTION
    dtype = torch.bfloat16 if run.device == "cuda" else torch.float32
    torch.manual_seed(0)
    with torch.device(run.device):
        model = transformers.AutoModelForCausalLM.from_config(
            config, attn_implementation=attention, dtype=dtype
        )
    share_frequencies(model)
    return model.eval()


def bytes_per_token(model: Any) -> int:
    """Of the keys and values of all layers."""
    config = model.config
    head_dim = config.hidden_size // config.num_attention_heads
    num_heads = 2 * config.num_hidden_layers * config.num_key_value_heads
    return num_heads * head_dim * model.dtype.itemsize


def bytes_read(model: Any, run: Run) -> float:
    """What a step has to read: every weight once (the embedding as the head), keys and values."""
    weights = sum(weight.numel() * weight.element_size() for weight in model.parameters())
    return weights + run.batch * run.typical_context * bytes_per_token(model)


def sampler(model: Any, run: Run, *, uses_graphs: bool) -> Timed:
    """Steps of the scheduler, the first of which is the prefill."""
    needed = run.batch * whole_spans(run.length) * bytes_per_token(model) / GIB
    engine = Engine(model, [], run.batch, run.length, cache_gib=1.01 * needed)
    engine.sampled = replace(engine.sampled, uses_graphs=uses_graphs)
    scheduler = engine.scheduler()
    num_tokens = 1 + WARMUP + run.num_steps
    for seed in range(run.batch):
        params = SamplingParams(1.0, 1.0, max_tokens=num_tokens, seed=seed)
        scheduler.add(Request(run.prompt, params))
    assert len(scheduler.step()) == run.batch
    seconds = []
    while not scheduler.is_idle:  # a step ends with its tokens on the host
        started = time.perf_counter()
        scheduler.step()
        seconds.append(time.perf_counter() - started)
    return Timed(seconds, "on" if scheduler.num_graphs else "off")


@torch.no_grad()
def forward(model: Any, run: Run, *, is_compiled: bool) -> Timed:
    """Replays of the forward pass alone."""
    prompt = prefill(model, [run.prompt])
    cache = SlotCache(prompt.cache, run.batch, whole_spans(run.length))
    start = torch.zeros(run.batch, dtype=torch.int64, device=run.device)
    position_B = start + len(run.prompt)
    cache.admit(0, prompt.cache, start, position_B)
    backend = "inductor" if run.device == "cuda" else "eager"
    step = torch.compile(decode, backend=backend, dynamic=False) if is_compiled else decode
    new_capture = cuda_capture if run.device == "cuda" else not_captured
    graphs = DecodeGraphs(model, run.batch, new_capture, step)
    token_B, seconds = prompt.logits_BV.argmax(-1).expand(run.batch), []
    for longest in range(len(run.prompt) + 1, run.length):
        started = time.perf_counter()
        graphs.decode(token_B, position_B, longest, cache)
        synchronize(run)
        seconds.append(time.perf_counter() - started)
        position_B += 1
    is_replayed = run.device == "cuda" and len(graphs) > 0
    return Timed(seconds, "on" if is_replayed else "off")


def not_captured(_: torch.device) -> Capture:
    """On a CPU, where there are no graphs, the step itself."""
    return lambda work: work


def generate(model: Any, run: Run, cache: str) -> Timed:
    """Steps of transformers' generate."""
    ends: list[float] = []

    class Ticking(StoppingCriteria):
        def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
            synchronize(run)
            ends.append(time.perf_counter())
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)

    model.generation_config.eos_token_id = None
    ids = torch.tensor([run.prompt] * run.batch, device=run.device)
    model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        max_new_tokens=1 + WARMUP + run.num_steps,
        cache_implementation=cache,
        stopping_criteria=StoppingCriteriaList([Ticking()]),
    )
    is_compiled = cache == "static" and run.device == "cuda"
    seconds = [end - begin for begin, end in pairwise(ends)]
    return Timed(seconds, "torch.compile's" if is_compiled else "off")


def synchronize(run: Run) -> None:
    if run.device == "cuda":
        torch.cuda.synchronize()


SIDES: dict[str, Callable[[Any, Run], Timed]] = {
    "sampler": lambda model, run: sampler(model, run, uses_graphs=True),
    "sampler, no graphs": lambda model, run: sampler(model, run, uses_graphs=False),
    "forward": lambda model, run: forward(model, run, is_compiled=False),
    "forward, compiled": lambda model, run: forward(model, run, is_compiled=True),
    "transformers, dynamic cache": lambda model, run: generate(model, run, "dynamic"),
    "transformers, static cache, compiled": lambda model, run: generate(model, run, "static"),
}


if __name__ == "__main__":
    main()
