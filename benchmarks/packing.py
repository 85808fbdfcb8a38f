"""Packing the lengths of long chains of thought into rows, beside TRL's: seconds and fill.

    python benchmarks/packing.py [DATA] [--num-samples 100000] [--capacities 16384 20480]

DATA holds `rollouts/skythought.jsonl.gz`. Its Sky-T1 responses (the long-thinking models, not their
`short` kind) give the lengths, a token for every three characters, drawn with replacement; without
DATA they are drawn from the quantiles below, which are of the same responses. Those over the
capacity are left out, for all alike. Fill is tokens / (rows x capacity); all run in turns on one
core, and the seconds are medians over the rounds with their range.

    best-fit    minireason.train.packing.pack
    split       minireason.train.packing.concatenate
    bfd         trl.pack_dataset(strategy="bfd") with all samples in one batch of its `map`
    bfd 1000    the same with `map`'s own batches of 1,000 samples, its default
    wrapped     trl.pack_dataset(strategy="wrapped") with all samples in one batch

TRL's seconds include moving the tokens (a column of one-byte integers), ours do not.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from minireason.train.packing import concatenate, pack

CHARACTERS_PER_TOKEN = 3

# of 608 responses, at 0, 5, 10 ... 100 %: the last tenth are loops that were cut off
QUANTILES = [
    37, 632, 945, 1117, 1269, 1467, 1655, 1835, 2031, 2308, 2613, 2885, 3105, 3327, 3526, 4118,
    4714, 6774, 26482, 37289, 53310,
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--num-samples", type=int, default=100_000)
    parser.add_argument("--capacities", type=int, nargs="+", default=[16_384, 20_480])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    drawn = draw(arguments.data, 2 * arguments.num_samples, rng)
    print("| capacity | samples | packing | s (range) | rows | fill % |")
    print("|---|---|---|---|---|---|")
    for capacity in arguments.capacities:
        fitting = drawn[drawn <= capacity]
        show(fitting[: arguments.num_samples], capacity, arguments.rounds)


def draw(data: Path | None, num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Lengths in tokens."""
    path = data / "rollouts" / "skythought.jsonl.gz" if data else None
    if path and path.exists():
        observed = observed_lengths(path)
        print(f"{len(observed)} responses of {path.name}\n")
        return rng.choice(observed, num_samples)
    print(f"{'no DATA given' if path is None else f'no {path}'}: drawn from the quantiles\n")
    levels = np.linspace(0, 1, len(QUANTILES))
    return np.interp(rng.random(num_samples), levels, QUANTILES).astype(np.int64)


def observed_lengths(path: Path) -> list[int]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [
        len(row["response"]) // CHARACTERS_PER_TOKEN
        for row in rows
        if row["model"].startswith("Sky-T1") and not row["model"].endswith("short")
    ]


def show(lengths: np.ndarray, capacity: int, num_rounds: int) -> None:
    packings = {
        "best-fit": lambda: len(pack(listed, capacity)),
        "split": lambda: len(concatenate(listed, capacity)),
        **packings_of_trl(lengths, capacity),
    }
    listed = lengths.tolist()
    seconds: dict[str, list[float]] = {name: [] for name in packings}
    num_rows = {}
    for _ in range(num_rounds):
        for name, packing in packings.items():
            start = time.perf_counter()
            num_rows[name] = packing()
            seconds[name].append(time.perf_counter() - start)
    for name, taken in seconds.items():
        fill = lengths.sum() / (num_rows[name] * capacity)
        print(
            f"| {capacity:,} | {len(lengths):,} | {name} | {statistics.median(taken):.2f} "
            f"({min(taken):.2f} - {max(taken):.2f}) | {num_rows[name]:,} | {100 * fill:.2f} |",
            flush=True,
        )


def packings_of_trl(lengths: np.ndarray, capacity: int) -> dict[str, Callable[[], int]]:
    try:
        import datasets
        import pyarrow as pa
        from trl import pack_dataset
    except ImportError as error:
        print(f"without TRL ({error})\n")
        return {}
    datasets.disable_progress_bars()
    datasets.disable_caching()
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    tokens = pa.array(np.zeros(offsets[-1], dtype=np.int8))
    dataset = datasets.Dataset(pa.table({"input_ids": pa.ListArray.from_arrays(offsets, tokens)}))

    def packing(strategy: str, batch_size: int) -> Callable[[], int]:
        options = {"batch_size": batch_size}
        return lambda: len(pack_dataset(dataset, capacity, strategy, map_kwargs=options))

    whole = len(lengths)
    return {
        "bfd": packing("bfd", whole),
        "bfd 1000": packing("bfd", 1000),
        "wrapped": packing("wrapped", whole),
    }


if __name__ == "__main__":
    main()
