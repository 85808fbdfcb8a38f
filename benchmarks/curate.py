"""Curation of many rollouts: rows a second and peak memory, a step and a size at a time.

    python benchmarks/curate.py DATA [--sizes 10000 100000 1000000] [--work FOLDER]

The rollouts of DATA/rollouts/*.jsonl.gz are repeated until there are enough; every copy has other
digits and says which case it is, so that no two questions or responses are equal. DATA/benchmarks
is what the questions are checked against. The verdicts are the labels: how fast answers are
verified is measured by benchmarks/verify.py. Each step runs in a process of its own, whose peak
memory is what the operating system counted.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from minireason.progress import Progress
from minireason.recipe import Recipe
from minireason.recipe_file import parse_recipe
from minireason.records import (
    Rollout,
    Verdict,
    iter_records,
    parquet_files,
    write_records,
)
from minireason.stages.curate import curate
from minireason.stages.questions import questions
from minireason.stages.rollout import rollout
from minireason.step import StepContext

ROWS_A_SHARD = 20_000
STEPS = ("questions", "rollout", "curate")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--work", type=Path, help="folder for the copies (default: temporary)")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        run_step(arguments.step, arguments.work, arguments.data)
        return
    print("| rollouts | text | step | seconds | rollouts/s | peak memory | out |\n|" + "---|" * 7)
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
            measure(size, Path(folder), arguments.data)


def measure(size: int, folder: Path, data: Path) -> None:
    num_characters = write_source(folder / "source", data / "rollouts", size)
    for step in STEPS:
        if step == "curate":
            write_verdicts(folder)
        command = [sys.executable, __file__, str(data), "--work", str(folder), "--step", step]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found = json.loads(done.stdout.splitlines()[-1])
        print(
            f"| {size:,} | {num_characters / 1e6:,.0f} MB | {step} | {found['seconds']:.1f} | "
            f"{size / found['seconds']:,.0f} | {found['peak_mb']:,.0f} MB | {found['out']:,} |",
            flush=True,
        )


def write_source(folder: Path, rollouts: Path, size: int) -> int:
    """Write `size` rows to Parquet shards; return how many characters of response they hold."""
    folder.mkdir()
    num_characters, rows, number = 0, copies(rollouts, size), 0
    while chunk := [row for _, row in zip(range(ROWS_A_SHARD), rows, strict=False)]:
        pq.write_table(pa.Table.from_pylist(chunk), folder / f"part-{number:05d}.parquet")
        num_characters += sum(len(row["response"]) for row in chunk)
        number += 1
    return num_characters


def copies(rollouts: Path, size: int) -> Iterator[dict[str, Any]]:
    originals = []
    for path in sorted(rollouts.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            originals += [json.loads(line) for line in lines]
    for number in range(size):
        case, row = divmod(number, len(originals))
        original = originals[row]
        shift = str.maketrans(
            "0123456789", "".join(str((d + 1 + case % 9) % 10) for d in range(10))
        )
        yield {
            "id": f"{original['id']}/{case}",
            "question": f"{original['question'].translate(shift)} This is case {case}.",
            "answer": str(original["answer"]) or "none",
            "response": f"Case {case}. {original['response'].translate(shift)}",
            "model": f"{original['model']}|{int(bool(original['label']))}",
            "source": original["benchmark"],
        }


def write_verdicts(folder: Path) -> None:
    (folder / "verify").mkdir()
    for shard in parquet_files(folder / "rollout"):
        verdicts = (
            Verdict(
                r.question_id,
                r.index,
                "correct" if r.model.endswith("1") else "incorrect",
                *("", "label", ""),
            )
            for r in iter_records(shard, Rollout)
        )
        write_records(folder / "verify" / shard.name, verdicts, Verdict)


def run_step(name: str, folder: Path, data: Path) -> None:
    inputs = {step: folder / step for step in ("questions", "rollout", "verify")}
    step = StepContext(recipe(folder, data), folder / name, inputs, Progress(is_quiet=True))
    shutil.rmtree(step.folder, ignore_errors=True)
    step.folder.mkdir()
    started = time.perf_counter()
    counts = {"questions": questions, "rollout": rollout, "curate": curate}[name](step)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_mb": peak_kb / 1024, "out": counts["out"]}))


def recipe(folder: Path, data: Path) -> Recipe:
    source = [str(folder / "source")]
    benchmarks = [str(path) for path in sorted((data / "benchmarks").glob("*.jsonl"))]
    return parse_recipe(
        {
            "questions": {"sources": source},
            "rollout": {"teacher": "recorded", "sources": source, "num_rollouts": 64},
            "evaluate": {"benchmarks": benchmarks},
        }
    )


if __name__ == "__main__":
    main()
