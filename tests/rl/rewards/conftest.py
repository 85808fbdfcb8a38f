"""A judged response, right unless a test says otherwise."""

import pytest

from minireason.rl.rewards import JudgedResponse
from minireason.verify import Decision


@pytest.fixture(scope="session")
def judged():
    def make(text=r"\boxed{4}", verdict="correct", **changes):
        values = {
            "question": "What is $2+2$?",
            "answer": "4",
            "answer_kind": "",
            "num_tokens": 10,
            "finish_reason": "stop",
            "max_tokens": 100,
        }
        return JudgedResponse(
            text=text, decision=Decision(verdict, "4", "rational"), **{**values, **changes}
        )

    return make
