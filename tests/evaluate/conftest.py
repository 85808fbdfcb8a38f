from collections.abc import Callable, Sequence

import pytest

from minireason.records import EvalSample

MakeSamples = Callable[..., list[EvalSample]]


def _samples(
    outcomes: Sequence[str], benchmark: str = "held-out", **fields: object
) -> list[EvalSample]:
    """One question for each string: "110" is three samples; 1 correct, 0 incorrect, ? unknown."""
    verdicts = {"1": "correct", "0": "incorrect", "?": "unknown"}
    common = {"finish_reason": "stop", "num_tokens": 10} | fields
    return [
        EvalSample(
            benchmark=benchmark,
            question_id=f"q{q:03d}",
            index=k,
            question="1 + 1?",
            answer="2",
            response="2",
            verdict=verdicts[mark],
            extracted="2",
            method="exact",
            **common,  # type: ignore[arg-type]
        )
        for q, marks in enumerate(outcomes)
        for k, mark in enumerate(marks)
    ]


@pytest.fixture
def make_samples() -> MakeSamples:
    return _samples
