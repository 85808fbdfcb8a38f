"""The ladder of a recipe over several seeds, as the Markdown table of docs/benchmarks.md.

    python benchmarks/ladder.py recipes/tiny.toml --seeds 0 1 2 --out runs/ladder

Each seed is a run of its own in OUT/seed-N (resumed if it is there). A cell is pass@1 in per cent
with its 95 % interval, clustered by question; the last row is the mean over the seeds. The
evaluation questions and their sampling seeds are the same for all.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from minireason.runfolder import versions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/ladder"))
    parser.add_argument("--set", action="append", default=[], dest="overrides")
    arguments = parser.parse_args()
    runs = [run_seed(arguments, seed) for seed in arguments.seeds]
    print("versions: " + ", ".join(f"{name} {v}" for name, v in versions().items()))
    for benchmark in runs[0][0]["benchmarks"]:
        print_table(benchmark, arguments.seeds, runs)
    print_times(arguments)


def run_seed(arguments: argparse.Namespace, seed: int) -> list[dict[str, Any]]:
    """Run one seed to its end and return its summaries in the order of the rungs."""
    folder = arguments.out / f"seed-{seed}"
    overrides = [f"run.seed={seed}", *arguments.overrides]
    settings = [word for override in overrides for word in ("--set", override)]
    command = ["run", str(arguments.recipe), "--out", str(folder), *settings]
    subprocess.run([sys.executable, "-m", "minireason", *command], check=True)
    rungs = ["base", "midtrain", "sft", "dpo", "rlvr"]
    paths = [folder / f"evaluate-{rung}" / "summary.json" for rung in rungs]
    return [json.loads(path.read_text()) for path in paths if path.is_file()]


def print_table(benchmark: str, seeds: list[int], runs: list[list[dict[str, Any]]]) -> None:
    rungs = [summary["rung"] for summary in runs[0]]
    print(f"\n{benchmark}\n\n| seed | {' | '.join(rungs)} | last - base |")
    print("|---|" + "---|" * (len(rungs) + 1))
    for seed, summaries in zip(seeds, runs, strict=True):
        cells = [summary["benchmarks"][benchmark] for summary in summaries]
        texts = [
            f"{100 * c['pass_at_1']:.1f} [{100 * c['ci_low']:.1f}, {100 * c['ci_high']:.1f}]"
            for c in cells
        ]
        gain = 100 * (cells[-1]["pass_at_1"] - cells[0]["pass_at_1"])
        print(f"| {seed} | {' | '.join(texts)} | {gain:+.1f} |")
    means = [
        statistics.mean(run[i]["benchmarks"][benchmark]["pass_at_1"] for run in runs)
        for i in range(len(rungs))
    ]
    shown = " | ".join(f"{100 * mean:.1f}" for mean in means)
    print(f"| mean | {shown} | {100 * (means[-1] - means[0]):+.1f} |")


def print_times(arguments: argparse.Namespace) -> None:
    print("\nseconds a step\n")
    for seed in arguments.seeds:
        manifests = sorted((arguments.out / f"seed-{seed}").glob("*/manifest.json"))
        seconds = {p.parent.name: json.loads(p.read_text())["seconds"] for p in manifests}
        shown = ", ".join(f"{name} {value:.0f}" for name, value in seconds.items())
        print(f"seed {seed}: {sum(seconds.values()):.0f} in all ({shown})")


if __name__ == "__main__":
    main()
