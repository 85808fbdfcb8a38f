"""Small records from a short notation, and the folder of real data where there is one."""

import os
from pathlib import Path

import pytest

from minireason.records import Question, Rollout, Verdict

VERDICTS = {"c": "correct", "i": "incorrect", "u": "unknown"}


@pytest.fixture(scope="session")
def data_folder():
    folder = os.environ.get("MINIREASON_DATA", "")
    if not folder:
        pytest.skip("MINIREASON_DATA names no folder of real data")
    return Path(folder)


@pytest.fixture(scope="session")
def judged():
    """(questions, rollouts, verdicts) of e.g. `{"q1": "c10 i20 c5!"}`.

    c, i, u: correct, incorrect, unknown; the number is the tokens; `!` marks a truncated one.
    `levels` and `domains` are by question, `responses` by (question, index).
    """

    def make(groups, levels=None, domains=None, responses=None):
        questions, rollouts, verdicts = [], [], []
        for id, group in groups.items():
            level, domain = (levels or {}).get(id, "high"), (domains or {}).get(id, "algebra")
            questions.append(Question(id, f"text of {id}", "1", "t", domain=domain, level=level))
            for index, word in enumerate(group.split()):
                response = (responses or {}).get((id, index), f"{id} response {index}")
                finish = "length" if word.endswith("!") else "stop"
                num_tokens = int(word.strip("!")[1:])
                rollouts.append(Rollout(id, index, response, "m", finish, num_tokens))
                verdicts.append(Verdict(id, index, VERDICTS[word[0]], "", "", ""))
        return questions, rollouts, verdicts

    return make
