"""Exports beside transformers on one CPU: tokens a second, time to open, memory, size, accuracy.

    python benchmarks/edge.py --run runs/tiny [--out exports] [--only speed accuracy gate]
        [--threads 1 2] [--rounds 5] [--samples 4] [--sides onnx-4 gguf-4 ...]

RUN is a finished run; the model of its last stage is exported into OUT (what is there is used) and
measured beside itself under transformers in float32 and, by torchao, with 8-bit weights. Sides
whose runtime is not installed are left out.

    speed     one sequence at a time, greedy, `--tokens` tokens behind each of four questions,
              without a stop, each round in a process of its own (`edge_run.py`), from whose clock
              the times are. `generate` is transformers' own; `loop` calls the model for each token
              with its cache, which is what generate does without its bookkeeping
    accuracy  the embedded benchmarks, `--samples` answers a question at temperature 0.6 and top-p
              0.95, with the seeds of the original's; the difference is paired by question
    gate      what `minireason export` prints by default, of all exports beside one original:
              300 questions, greedy; the likeliest tokens and the divergence are over the original's
              responses

Of speed the sides take turns, in another order each round: a number is the median over the rounds,
a ratio the median of the rounds' ratios with its range.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from turns import Run, child, in_turns, over

PEERS = {
    "transformers float32, generate": ("generate", ""),
    "transformers float32, loop": ("loop", ""),
    "transformers int8 (torchao), generate": ("generate", "hf-8"),
}
BEFORE = "transformers float32, generate"
ONE_RUN = Path(__file__).with_name("edge_run.py")


class Side(NamedTuple):
    """An export: how it is made, and what must be installed."""

    format: str
    bits: int
    needs: str
    keep_8bit: tuple[str, ...] = ()


SIDES = {
    "hf-8": Side("hf", 8, "torchao"),
    "onnx-4": Side("onnx", 4, "onnxruntime_genai"),
    "onnx-4-down8": Side("onnx", 4, "onnxruntime_genai", ("down_proj",)),
    "onnx-8": Side("onnx", 8, "onnxruntime_genai"),
    "onnx-32": Side("onnx", 32, "onnxruntime_genai"),
    "gguf-4": Side("gguf", 4, "llama_cpp"),
    "gguf-8": Side("gguf", 8, "llama_cpp"),
    "gguf-16": Side("gguf", 16, "llama_cpp"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("exports"))
    parser.add_argument("--only", nargs="+", default=["speed", "accuracy", "gate"])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=[*SIDES])
    parser.add_argument("--also", nargs="*", type=Path, default=[], help="folders of other exports")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=200)
    parser.add_argument("--samples", type=int, default=4)
    arguments = parser.parse_args()
    from minireason.inference.resolve import model_folder

    model = Path(model_folder(str(arguments.run)))
    exports = {name: exported(name, model, arguments.out) for name in arguments.sides}
    exports |= {folder.name: folder for folder in arguments.also}
    exports = {name: folder for name, folder in exports.items() if folder is not None}
    if "speed" in arguments.only:
        for threads in arguments.threads:
            show(speed(model, exports, threads, arguments))
    if "accuracy" in arguments.only:
        show(accuracy(model, exports, arguments))
    if "gate" in arguments.only:
        show(gates(model, exports))


def show(lines: Iterator[str]) -> None:
    print(flush=True)
    for line in lines:
        print(line, flush=True)


def exported(name: str, model: Path, out: Path) -> Path | None:
    """The export of this name, made where it is not there."""
    from minireason.edge.manifest import is_export
    from minireason.export.run import export_model
    from minireason.export.settings import ExportSettings
    from minireason.progress import Progress

    side, folder = SIDES[name], out / name
    if find_spec(side.needs) is None:
        print(f"{name} is left out: {side.needs} is not installed", file=sys.stderr)
        return None
    if not is_export(folder):
        settings = ExportSettings(model, side.format, side.bits, keep_8bit=side.keep_8bit)
        export_model(settings, folder, Progress())
    return folder


def speed(
    model: Path, exports: dict[str, Path], threads: int, arguments: argparse.Namespace
) -> Iterator[str]:
    sides: dict[str, Run] = {
        name: {"how": how, "folder": str(exports[of] if of else model)}
        for name, (how, of) in PEERS.items()
        if not of or of in exports
    }
    sides["ours, embedded float32"] = {"how": "ours", "folder": str(model)}
    sides |= {
        name: {"how": "ours", "folder": str(folder)}
        for name, folder in exports.items()
        if name != "hf-8"
    }
    common = {"threads": threads, "tokens": arguments.tokens, "model": str(model)}

    def measure(name: str, _: int) -> Run:
        return child(str(ONE_RUN), sides[name] | common)

    found, load = in_turns([*sides], arguments.rounds, measure)
    peer = [one["tokens_per_s"] for one in found[BEFORE]]
    yield f"threads {threads}, load {load}"
    columns = ["side", "weights MB", "tokens/s", f"/ {BEFORE}", "first token ms", "open s"]
    columns += ["peak MB", "equal before"]
    yield f"| {' | '.join(columns)} |"
    yield "|---" * len(columns) + "|"
    for name, rounds in found.items():
        rates = [one["tokens_per_s"] for one in rounds]
        cells = [name, megabytes(Path(sides[name]["folder"]))]
        cells += [f"{statistics.median(rates):,.0f}", over(rates, peer)]
        cells += [f"{1000 * middle(rounds, 'first_token_s'):.1f}"]
        cells += [f"{middle(rounds, 'open_s'):.2f}", f"{middle(rounds, 'peak_bytes') / 1e6:.0f}"]
        cells += [f"{share_equal(rounds[0], found[BEFORE][0]):.0%}"]
        yield f"| {' | '.join(cells)} |"


def middle(rounds: Sequence[Run], name: str) -> float:
    return statistics.median(one[name] for one in rounds)


def share_equal(mine: Run, other: Run) -> float:
    """The mean share of a sequence's tokens before the first that differs."""
    shares = []
    for ours, theirs in zip(mine["sequences"], other["sequences"], strict=True):
        pairs = list(zip(ours, theirs, strict=True))
        first = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
        shares.append(first / len(pairs))
    return statistics.mean(shares)


def accuracy(model: Path, exports: dict[str, Path], arguments: argparse.Namespace) -> Iterator[str]:
    folder = arguments.out / "accuracy"
    original = samples(model, folder / "original", arguments.samples)
    yield f"{arguments.samples} answers a question"
    yield f"| side | {' | '.join(original)} | loss, all questions |"
    yield "|---" * (len(original) + 2) + "|"
    yield f"| original | {' | '.join(rate(found) for found in original.values())} | |"
    for name, export in exports.items():
        mine = samples(export, folder / name, arguments.samples)
        cells = [name, *map(rate, mine.values()), lost(original, mine)]
        yield f"| {' | '.join(cells)} |"


def gates(model: Path, exports: dict[str, Path]) -> Iterator[str]:
    from minireason.export.gate import compare_export, measure_reference
    from minireason.export.gate_settings import GateSettings
    from minireason.progress import Progress

    reference = measure_reference(model, GateSettings(threads=1), Progress())
    yield "| export | MB | loss | identical responses % | same likeliest token % | KL, nats |"
    yield "|---|---|---|---|---|---|"
    for name, folder in exports.items():
        found = compare_export(reference, folder, Progress())
        if not (found.overall and found.agreement and found.following):
            yield f"| {name} | {'; '.join(found.failures)} | | | | |"
            continue
        cells = [name, megabytes(folder), spread(found.overall.loss, 100, 1)]
        cells += [spread(found.agreement.identical, 100, 1)]
        cells += [spread(found.following.argmax, 100, 1), spread(found.following.kl, 1, 4)]
        yield f"| {' | '.join(cells)} |"


def megabytes(folder: Path) -> str:
    from minireason.export.footprint import weight_bytes

    return f"{weight_bytes(folder) / 1e6:.2f}"


def spread(found: Any, unit: int, digits: int) -> str:
    value, low, high = (f"{unit * one:.{digits}f}" for one in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"


def lost(original: dict[str, list[Any]], mine: dict[str, list[Any]]) -> str:
    """Points of all questions that the export lacks, with the interval, paired by question."""
    from minireason.export.measures import OVERALL, losses

    every = [[one for found in side.values() for one in found] for side in (original, mine)]
    return spread(losses(*every)[OVERALL].loss, 100, 1)


def rate(found: Sequence[Any]) -> str:
    return f"{100 * statistics.mean(one.verdict == 'correct' for one in found):.1f}"


def samples(model: Path, folder: Path, count: int) -> dict[str, list[Any]]:
    """Of each benchmark; what is there already is not asked again."""
    from minireason.commands.evaluate import Engine, Questions, measure, open_model
    from minireason.evaluate.sample import ScoredSample
    from minireason.evaluate.sampling import Sampling
    from minireason.problems.benchmarks import BENCHMARKS
    from minireason.progress import Progress
    from minireason.records import read_records
    from minireason.rollout.sampling import SamplingParams

    opened = open_model(str(model), Engine("auto", "float32", 1, 32))
    sampling = Sampling(count, SamplingParams(max_tokens=320))
    measure(
        opened, Questions([*BENCHMARKS], 0, None, False, "published"), sampling, folder, Progress()
    )
    return {
        name: read_records(folder / "samples" / f"{name}.parquet", ScoredSample)
        for name in BENCHMARKS
    }


if __name__ == "__main__":
    main()
