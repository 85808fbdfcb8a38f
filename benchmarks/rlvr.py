"""Our RLVR beside TRL's GRPOTrainer on one machine: seconds a step, and learning by the clock.

    python benchmarks/rlvr.py --model runs/tiny/dpo [--only steps curves settings rates]

Give the stage-3 model of a finished run: lengths are then those that RLVR meets, and the prompts
those of the run (`prompts` beside the model). Every run is a process of its own, and the sides take
turns, another one first in each round. What each side is given is said in
`beside_grpo/__init__.py`. Threads wait as our command line has them wait, on both sides.

    steps     seconds a step, after a first one that is not counted; a number is the median over
              the rounds of a round's mean, a ratio the median of the rounds' ratios with its range.
              A round's seed is the same for both sides, so they get the same prompts
    curves    pass rate on 150 prompts that nobody trains on, by steps and by seconds of training;
              measured four times, outside the clock, by our sampler at the temperature of training.
              Prompts are those that the run's trials neither all solved nor all failed
    settings  what is fastest for each side: rows of a micro-batch, and how it samples (`SETTINGS`);
              `BEST`, which the other parts take, is what has won here
    rates     which learning rate (`--rates`) gets furthest on each side, by the mean of the four
              pass rates; `curves` takes one for both, or ours and TRL's
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import turns
from turns import Run, in_turns, over

Curve = list[tuple[float, float]]
SIDES = ("ours", "trl")
WARMUP = 1
SETTINGS: dict[str, list[Run]] = {
    "ours": [{"rows": rows, "max_batch": batch} for rows in (4, 8, 24) for batch in (64, 192)],
    "trl": [
        *({"rows": rows, "cache": c} for rows in (8, 32, 64, 192) for c in ("dynamic", "static")),
        {"rows": 32, "cache": "paged"},
    ],
}
BEST: dict[str, Run] = {
    "ours": {"rows": 8, "max_batch": 192},
    "trl": {"rows": 32, "cache": "dynamic"},
}
TINY = {"prompts_per_step": 2, "group_size": 8, "max_tokens": 96, "rows": 4}
COLUMNS = {
    "seconds": "s a step",
    "sampling_s": "sampling",
    "reward_s": "rewards",
    "update_s": "the rest",
    "num_responses": "responses",
    "num_tokens": "their tokens",
    "s_per_1000": "s / 1,000 tokens",
    "pass_rate": "pass rate",
    "unknown_rate": "unreadable",
    "without_signal": "groups without signal",
    "grad_norm": "gradient norm",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tiny", help="a folder; tiny: the carried base")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=["steps", "curves"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--rounds", type=int, default=5, help="or seeds, of `curves`")
    parser.add_argument("--steps", type=int, help="timed in a run (3), or learnt (40)")
    parser.add_argument("--prompts", type=int, default=24, help="of a step, 8 responses each")
    parser.add_argument("--rates", nargs="+", type=float, default=[1e-4], help="of learning")
    parser.add_argument("--tiny", action="store_true", help="so small that it says nothing")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        from beside_grpo.runs import carry_out

        print(json.dumps(carry_out(json.loads(arguments.child))))
        return
    for part in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            run = first(part, arguments, folder)
            for threads in arguments.threads:
                print(f"\n### {part}, threads: {threads}\n", flush=True)
                print(PARTS[part](run | {"threads": threads}, arguments), flush=True)


def first(part: str, arguments: argparse.Namespace, folder: str) -> Run:
    """What all runs of a part have in common; the prompts are there."""
    run: Run = {"model": arguments.model, "prompts": f"{folder}/prompts"}
    run |= {"prompts_per_step": arguments.prompts, "max_tokens": 320}
    laid = {"num_held_out": 8 if arguments.tiny else 150, "only_open": part in ("curves", "rates")}
    child(run | laid | {"part": "prepare"})
    run["steps"] = arguments.steps or (40 if laid["only_open"] else 3)
    return run | {"shrunk": TINY if arguments.tiny else {}}


def child(run: Run) -> Any:
    return turns.child(__file__, run)


def steps(run: Run, arguments: argparse.Namespace) -> str:
    """Each side's steps, and how much faster ours are."""

    def measure(side: str, number: int) -> Run:
        return mean_step(run | BEST[side] | {"side": side, "seed": number})

    found, load = in_turns(SIDES, arguments.rounds, measure)
    lines = [f"| side | {' | '.join(COLUMNS.values())} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for side, rounds in found.items():
        cells = [spread([step[name] for step in rounds]) for name in COLUMNS]
        lines.append(f"| {side} | {' | '.join(cells)} |")
    faster, by_token = (
        over(*([step[name] for step in found[side]] for side in ("trl", "ours")))
        for name in ("seconds", "s_per_1000")
    )
    ratios = f"Ours is faster by {faster} a step and by {by_token} a token; load {load}."
    return "\n".join([*lines, "", ratios])


def settings(run: Run, arguments: argparse.Namespace) -> str:
    """Seconds a step of each side with each of its settings."""
    named = {
        f"{side} {json.dumps(setting)}": run | setting | {"side": side}
        for side in SIDES
        for setting in SETTINGS[side]
    }

    def measure(name: str, number: int) -> float:
        return mean_step(named[name] | {"seed": number})["seconds"]

    found, load = in_turns(list(named), arguments.rounds, measure)
    lines = [f"| setting, load {load} | s a step |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {spread(s)} |" for name, s in found.items())])


def mean_step(run: Run) -> Run:
    """Means over the timed steps of one run."""
    with tempfile.TemporaryDirectory() as folder:
        task = {"part": "train", "folder": f"{folder}/run", "num_steps": WARMUP + run["steps"]}
        timed = child(run | task | run["shrunk"])[WARMUP:]
    step = {name: statistics.mean(step[name] for step in timed) for name in timed[0]}
    step["update_s"] = step["seconds"] - step["sampling_s"] - step["reward_s"]
    step["s_per_1000"] = 1000 * step["seconds"] / step["num_tokens"]
    return step


def curves(run: Run, arguments: argparse.Namespace) -> str:
    """Pass rates by steps and seconds, and how long each side takes to reach some of them."""
    rates = dict(zip(SIDES, arguments.rates * 2, strict=False))
    start = held_out(run)[0]

    def measure(side: str, number: int) -> Curve:
        task = BEST[side] | {"side": side, "seed": number, "learning_rate": rates[side]}
        return [(0.0, start), *curve(run | task)]

    found, load = in_turns(SIDES, arguments.rounds, measure)
    lines = ["| step | ours, s | pass rate | TRL, s | pass rate |", "|---" * 5 + "|"]
    for i in range(len(found["ours"][0])):
        cells = [spread([c[i][k] for c in found[side]], 3) for side in SIDES for k in (0, 1)]
        lines.append(f"| {i * kept_every(run['steps'])} | {' | '.join(cells)} |")
    given = ", ".join(f"{side} {rate:g}" for side, rate in rates.items())
    lines += ["", f"Learning rates: {given}; load {load}.", ""]
    return "\n".join([*lines, *reached(found, start)])


def reached(found: dict[str, list[Curve]], start: float) -> list[str]:
    """Seconds to the pass rates that every run has reached, by the paired seeds."""
    common = min(max(rate for _, rate in c) for of_side in found.values() for c in of_side)
    lines = ["| pass rate | ours, s | TRL, s | TRL's over ours |", "|---" * 4 + "|"]
    for share in (0.5, 0.75, 1.0):
        target = start + share * (common - start)
        ours, trl = ([seconds_to(target, c) for c in found[side]] for side in SIDES)
        ratio = over(trl, ours) if min(ours) > 0 else "-"
        lines.append(f"| {target:.3f} | {spread(ours)} | {spread(trl)} | {ratio} |")
    return lines


def seconds_to(target: float, points: Curve) -> float:
    """When the pass rate is first the target, on straight lines between what was measured."""
    before_s, before = points[0]
    for seconds, rate in points:
        if rate >= target:
            share = (target - before) / (rate - before) if rate > before else 1.0
            return before_s + share * (seconds - before_s)
        before_s, before = seconds, rate
    raise ValueError(f"{points} does not reach {target}")


def rates(run: Run, arguments: argparse.Namespace) -> str:
    """Mean pass rate of what a training of each learning rate has kept."""
    names = [f"{side} {rate:g}" for rate in arguments.rates for side in SIDES]

    def measure(name: str, number: int) -> float:
        side, rate = name.split()
        task = BEST[side] | {"side": side, "seed": 1000 + number, "learning_rate": float(rate)}
        return statistics.mean(rate for _, rate in curve(run | task))

    found, load = in_turns(names, arguments.rounds, measure)
    lines = [f"| learning rate, load {load} | mean pass rate |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {spread(r, 3)} |" for name, r in found.items())])


def curve(run: Run) -> Curve:
    """Seconds of training and pass rate of each of the weights that a training keeps."""
    num_steps, every = run["steps"], kept_every(run["steps"])
    with tempfile.TemporaryDirectory() as folder:
        task = {"folder": f"{folder}/run", "num_steps": num_steps, "kept_every": every}
        trained = child(run | task | {"part": "train"} | run["shrunk"])
        pass_rates = held_out(run | task)
    ends_s = list(itertools.accumulate(step["seconds"] for step in trained))[every - 1 :: every]
    return list(zip(ends_s, pass_rates, strict=True))


def held_out(run: Run) -> list[float]:
    return list(child(run | {"part": "held_out"} | run["shrunk"]))


def kept_every(num_steps: int) -> int:
    return max(1, num_steps // 4)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median and the range."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f} - {high:,.{digits}f})"


PARTS: dict[str, Callable[[Run, argparse.Namespace], str]] = {
    "steps": steps,
    "curves": curves,
    "settings": settings,
    "rates": rates,
}


if __name__ == "__main__":
    main()
