"""Our verifier beside math-verify and TRL's accuracy reward: verdicts, throughput, hostile answers.

    python benchmarks/verify.py DATA [--rows 400] [--rounds 5] [--only cases|rollouts|speed|hostile]

DATA holds `verifier/cases.jsonl` (gold, pred, expected) and `rollouts/*.jsonl.gz` (response,
answer, label). All verifiers see the same inputs. Speeds are taken on one core, the process and
its workers pinned to it, in turns; a ratio is the median over the rounds with its range.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from minireason.verify import Conventions, Verifier, verify_batch
from minireason.verify.choice import is_choice, with_option
from minireason.verify.extract import extract

Row = dict[str, Any]
VALUES = {"correct": True, "incorrect": False, "unknown": None}
Judge = Callable[[list[Row]], list[bool | None]]

TRAP = Path("/tmp/minireason-was-here")
HOSTILE = {
    "tower of powers": "9^{9^{9^{9^9}}}",
    "factorial": "100000000!",
    "nested factorials": "((((9!)!)!)!)!",
    "binomial": r"\binom{10^{12}}{5\cdot 10^{11}}",
    "long sum": r"\sum_{k=1}^{10^{12}} \frac{1}{k^2}",
    "hard integral": r"\int_0^1 \sin(x^x)^{\cos(x^x)} dx",
    "deep parentheses": "(" * 900 + "1" + ")" * 900,
    "deep fractions": r"\frac{1}{" * 250 + "2" + "}" * 250,
    "one megabyte": "1+" * 500_000 + "1",
    "megabyte of braces": "{" * 1_000_000,
    "many boxes": r"\boxed{" * 20_000,
    "megabyte of digits": "1" * 1_000_000,
    "megabyte of commas": "," * 1_000_000,
    "megabyte of spaces": " " * 1_000_000 + "1",
    "megabyte of backslashes": "\\" * 1_000_000,
    "megabyte of dollars": "$" * 1_000_000,
    "megabyte of phrases": "the answer is " * 70_000,
    "megabyte of boxes": r"\boxed{1} and " * 70_000,
    "digits": "1" * 1_999 + "!",
    "commas": "1," * 999 + "!",
    "spaces": "1 " * 999 + "!",
    "percent signs": "%" * 1_999,
    "units": r"1\text{m}" * 200 + "!",
    "degrees": r"1^\circ" * 280 + r"\sin x",
    "tower of roots": r"\sqrt{" * 280 + "2" + "}" * 280,
    "tower of exponents": "x^{" * 480 + "2" + "}" * 480,
    "deep tuples": "(1," * 480 + "2" + ")" * 480,
    "plus-minus": r"\pm 1" * 300,
    "product": r"\prod_{k=1}^{10^{9}} k",
    "power": "2^{2^{40}}-x",
    "decimal power": "1.0000001^{10^{12}}",
    "large exponent": "10^{10^{10}}x",
    "nested logarithm": r"\log(" * 100 + "2" + ")" * 100,
    "long matrix": r"\begin{pmatrix}" + "1 & " * 450 + r"1\end{pmatrix}",
    "long set": r"\{" + ",".join(f"x_{{{i}}}" for i in range(250)) + r"\}",
    "sympy": 'sympy.sympify(\'__import__("os").system("touch /tmp/minireason-was-here")\')',
    "lambda": "(lambda: open('/tmp/minireason-was-here','w'))()",
    "null in a number": "1\u00002",
    "python": "__import__('os').system('touch /tmp/minireason-was-here')",
    "python in LaTeX": r"\text{__import__('os').getcwd()}",
    "null bytes": "1\x002\x00",
    "surrogate": "\ud800",
    "unicode digits": "१२३",
    "right to left": "\u202e21",
    "backtracking": "a" * 1800 + "!",
    "many variables": "*".join(f"x_{{{i}}}" for i in range(150)),
    "large polynomial": "(x+y+z+1)^{60}",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument(
        "--rows", type=int, default=900, help="rollouts of a round, drawn from all files"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["cases", "rollouts", "speed", "hostile"])
    arguments = parser.parse_args()
    needs_rows = arguments.only in (None, "rollouts", "speed")
    rows = list(rollouts(arguments.data / "rollouts")) if needs_rows else []
    sections = {
        "cases": lambda: show_cases(arguments.data / "verifier" / "cases.jsonl"),
        "rollouts": lambda: show_agreement(rows),
        "speed": lambda: show_speed(rows, arguments.rows, arguments.rounds),
        "hostile": show_hostile,
    }
    for name, show in sections.items():
        if arguments.only in (None, name):
            print(f"\n## {name}\n")
            show()


def rollouts(folder: Path) -> Iterator[Row]:
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield {**json.loads(line), "file": path.name.partition(".")[0]}


def ours(rows: list[Row]) -> list[bool | None]:
    """The verdict; None for unknown. The defaults, on one worker that lives on between batches."""
    return [VALUES[d.verdict] for d in verify_batch([_item(row) for row in rows])]


def _item(row: Row) -> tuple[str, str, str]:
    """As `verify_rollouts` asks: the letter of an option comes with its option."""
    answer = str(row["answer"])
    reference = with_option(answer, row["question"]) if is_choice(answer, "") else answer
    return row["response"], reference, ""


def math_verify(rows: list[Row]) -> list[bool | None]:
    """As its README has it; None where the reference cannot be parsed."""
    from math_verify import parse, verify

    found: list[bool | None] = []
    for row in rows:
        gold = parse(f"${row['answer']}$")
        found.append(verify(gold, parse(row["response"])) if gold else None)
    return found


def trl(rows: list[Row]) -> list[bool | None]:
    """TRL's accuracy_reward, the reference in a formula; None where it skips the example."""
    from trl.rewards import accuracy_reward

    completions = [[{"role": "assistant", "content": row["response"]}] for row in rows]
    rewards = accuracy_reward(completions, [f"${row['answer']}$" for row in rows])
    return [None if reward is None else reward > 0 for reward in rewards]


JUDGES: dict[str, Judge] = {"ours": ours, "math-verify": math_verify, "TRL": trl}


def show_cases(path: Path) -> None:
    cases = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    cases = [case for case in cases if not case["tool_specific"] and not case["suspect"]]
    verdicts = {"ours": ours_on_cases(cases), "math-verify": math_verify_on_cases(cases)}
    print(
        f"| {len(cases)} cases | right | wrongly accepted | wrongly rejected |\n|---|---|---|---|"
    )
    for name, found in verdicts.items():
        pairs = [(bool(f), case["expected"]) for f, case in zip(found, cases, strict=True)]
        right = sum(f == expected for f, expected in pairs)
        accepted, rejected = pairs.count((True, False)), pairs.count((False, True))
        print(f"| {name} | {100 * right / len(cases):.1f} % | {accepted} | {rejected} |")
    for found, case in zip(verdicts["ours"], cases, strict=True):
        if bool(found) != case["expected"]:
            shown = {name: case[name] for name in ("id", "gold", "pred", "expected")}
            print(f"ours is wrong: {shown}")


def ours_on_cases(cases: list[Row]) -> list[bool]:
    """A response is verified as one; a bare answer without a box or phrase is compared as such.

    Unmarked answers count, as they do in the tests that the cases come from.
    """
    found = []
    with Verifier(conventions=Conventions(unmarked_answers=True)) as verifier:
        for case in cases:
            extraction = extract(case["pred"], unmarked=True)
            marked = ("boxed", "hashes", "phrase", "number")
            whole = extraction.rule in marked or case["kind"] == "response"
            decision = (
                verifier.verify(case["pred"], case["gold"])
                if whole
                else verifier.compare(extraction.text or case["pred"], case["gold"])
            )
            found.append(decision.verdict == "correct")
    return found


def math_verify_on_cases(cases: list[Row]) -> list[bool]:
    """With what its own tests pass: the extraction kinds, the rounding and strictness of a case."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    kinds = {"latex": LatexExtractionConfig(), "expr": ExprExtractionConfig()}
    found = []
    for case in cases:
        config = case["config"] or {}
        extraction = [kinds[k] for k in config.get("match_types", ["latex", "expr"])]
        gold, given = (
            parse(case[name], extraction) or parse(f"${case[name]}$", extraction)
            for name in ("gold", "pred")
        )
        options = {"float_rounding": config.get("precision", 6)}
        found.append(bool(verify(gold, given, **options)))
    return found


def show_agreement(rows: list[Row]) -> None:
    """Each verifier beside the labels, file by file; who else agrees; what each layer decided."""
    verdicts = {name: judge(rows) for name, judge in JUDGES.items()}
    columns = (
        *("file", "rows", "labelled correct", "verifier", "agrees"),
        *("correct against the label", "incorrect against the label", "unknown"),
    )
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for file in dict.fromkeys(row["file"] for row in rows):
        places = [i for i, row in enumerate(rows) if row["file"] == file]
        labels = [bool(rows[i]["label"]) for i in places]
        for name, found in verdicts.items():
            pairs = Counter((found[i], label) for i, label in zip(places, labels, strict=True))
            agree = pairs[True, True] + pairs[False, False]
            unknown = pairs[None, True] + pairs[None, False]
            print(
                f"| {file} | {len(places)} | {sum(labels)} | {name} | "
                f"{100 * agree / len(places):.2f} % | {pairs[True, False]} | "
                f"{pairs[False, True]} | {unknown} |"
            )
    show_common_ground(rows, verdicts["ours"], verdicts["math-verify"])
    show_methods(rows)


def show_common_ground(
    rows: list[Row], ours_found: list[bool | None], theirs: list[bool | None]
) -> None:
    """Who agrees with the label where at least one does not."""
    names = {
        (True, True): "label, ours and math-verify",
        (True, False): "label and ours only",
        (False, True): "label and math-verify only",
        (False, False): "neither with the label",
    }
    counts: Counter[tuple[str, str]] = Counter()
    for row, our, their in zip(rows, ours_found, theirs, strict=True):
        label = bool(row["label"])
        counts[row["file"], names[our is label, their is label]] += 1
    print(f"\n| file | {' | '.join(names.values())} |\n|---|{'---|' * len(names)}")
    for file in dict.fromkeys(row["file"] for row in rows):
        print(f"| {file} | {' | '.join(str(counts[file, name]) for name in names.values())} |")


def show_methods(rows: list[Row]) -> None:
    """How many rollouts each layer decided, and how."""
    with Verifier() as verifier:
        decisions = verifier.verify_batch([_item(row) for row in rows])
    counts = Counter((decision.method, decision.verdict) for decision in decisions)
    methods = Counter(decision.method for decision in decisions)
    print(f"\n| layer | rollouts | {' | '.join(VALUES)} |\n|---|---|---|---|---|")
    for method, count in methods.most_common():
        shares = " | ".join(str(counts[method, verdict]) for verdict in VALUES)
        print(f"| {method} | {100 * count / len(rows):.2f} % | {shares} |")


def show_speed(rows: list[Row], count: int, rounds: int) -> None:
    """Everybody on one core, in turns; then ours on two cores, with a worker for each.

    Every round has rows of its own: sympy remembers what it has compared.
    """
    cores = sorted(os.sched_getaffinity(0))
    drawn = random.Random(0).sample(rows, len(rows))
    samples = [drawn[count * n : count * (n + 1)] for n in range(2 * rounds + 1)]
    os.sched_setaffinity(0, set(cores[:1]))
    for judge in JUDGES.values():
        judge(samples[-1])  # imports, caches, our worker
    seconds: dict[str, list[float]] = {name: [] for name in JUDGES}
    for sample in samples[:rounds]:
        for name, judge in JUDGES.items():
            seconds[name].append(timed(judge, sample))
    for name, taken in seconds.items():
        print(f"{name:<12} {count / statistics.median(taken):10.1f} answers a second")
    for name in list(JUDGES)[1:]:
        ratios = sorted(t / o for t, o in zip(seconds[name], seconds["ours"], strict=True))
        middle = statistics.median(ratios)
        print(f"ours against {name}: {middle:.1f} times [{ratios[0]:.1f}, {ratios[-1]:.1f}]")
    os.sched_setaffinity(0, set(cores[:2]))
    with Verifier(num_workers=2) as verifier:
        verifier.verify_batch([_item(row) for row in samples[-1]])  # starts the workers
        items = [[_item(row) for row in sample] for sample in samples[rounds:-1]]
        both = [timed(verifier.verify_batch, batch) for batch in items]
    print(f"ours, two cores {count / statistics.median(both):10.1f} answers a second")


def timed(work: Callable[[Any], Any], given: Any) -> float:
    started = time.perf_counter()
    work(given)
    return time.perf_counter() - started


def show_hostile() -> None:
    """Each hostile answer among easy ones: its time, its verdict, and its neighbours' verdicts."""
    limit = 2.0
    print("| answer | seconds | verdict | reason | |\n|---|---|---|---|---|")
    with Verifier(timeout_s=limit) as verifier:
        verifier.verify(r"\boxed{\cos(2x)}", r"2\cos^2(x)-1")  # starts the worker
        for name, text in HOSTILE.items():
            items = [
                (r"\boxed{4}", "4", ""),
                (rf"\boxed{{{text}}}", "7", ""),
                (r"\boxed{5}", "4", ""),
            ]
            started = time.perf_counter()
            before, decision, after = verifier.verify_batch(items)
            elapsed = time.perf_counter() - started
            neighbours = (before.verdict, after.verdict) == ("correct", "incorrect")
            is_fine = neighbours and elapsed < limit + 0.5 and decision.verdict != "correct"
            mark = "" if is_fine else "BAD"
            print(f"| {name} | {elapsed:.2f} | {decision.verdict} | {decision.reason} | {mark} |")
    print("EVALUATED" if TRAP.exists() else "nothing was evaluated")


if __name__ == "__main__":
    main()
