"""The three embedded benchmarks, as the paper has three: all held out by identity.

`embedded-math` is the broad one (MATH-500's place), `embedded-hard` the hard one with whole
numbers from 0 to 999 as answers (AIME's), `embedded-choice` the multiple-choice one (GPQA's).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from minireason.errors import DataError
from minireason.problems.procedural import generate_questions
from minireason.records import LEVELS, Question
from minireason.seeding import derive_seed


def _is_any(question: Question) -> bool:
    return True


def _is_small_integer(question: Question) -> bool:
    return question.answer_kind == "integer" and 0 <= int(question.answer) <= 999


@dataclass(frozen=True)
class Benchmark:
    """How a benchmark is drawn: equally many questions a level, out of a larger draw."""

    num_questions: int
    levels: tuple[str, ...]
    choice_fraction: float
    admits: Callable[[Question], bool]
    num_drawn: int


BENCHMARKS: dict[str, Benchmark] = {
    "embedded-math": Benchmark(300, LEVELS, 0.0, _is_any, 300),
    "embedded-hard": Benchmark(120, ("college", "graduate"), 0.0, _is_small_integer, 480),
    "embedded-choice": Benchmark(150, LEVELS, 1.0, _is_any, 150),
}


def load_benchmark(name: str) -> list[Question]:
    """The questions of an embedded benchmark, always the same ones; DataError if unknown."""
    if name not in BENCHMARKS:
        raise DataError(f"unknown benchmark {name!r}; allowed: {', '.join(BENCHMARKS)}")
    benchmark = BENCHMARKS[name]
    drawn = generate_questions(
        benchmark.num_drawn,
        derive_seed("benchmark", name),
        "eval",
        benchmark.levels,
        choice_fraction=benchmark.choice_fraction,
    )
    share = benchmark.num_questions // len(benchmark.levels)
    chosen: list[Question] = []
    for level in benchmark.levels:
        chosen += [q for q in drawn if q.level == level and benchmark.admits(q)][:share]
    if len(chosen) != benchmark.num_questions:
        raise DataError(
            f"{name} came out with {len(chosen)} of {benchmark.num_questions} questions; "
            "raise its num_drawn"
        )
    return chosen
