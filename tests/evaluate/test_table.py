import io
from dataclasses import replace

import pytest
from rich.console import Console

from minireason.evaluate.benchmarks import Asked
from minireason.evaluate.results import measure
from minireason.evaluate.sample import ScoredSample
from minireason.evaluate.scorer import Scorer
from minireason.evaluate.table import groups_table, results_table
from minireason.records import Question
from minireason.verify.verifier import Verifier

SAMPLING = {"samples": 1, "temperature": 0.6, "top_p": 0.95, "max_tokens": 9}
SAMPLE = ScoredSample(
    benchmark="sums",
    question_id="a",
    index=0,
    question="1 + 1?",
    answer="2",
    response="2",
    verdict="correct",
    extracted="2",
    method="exact",
    finish_reason="stop",
    num_tokens=0,
    domain="[/sums]",
)


def printed(scorer=None, finish_reason="stop"):
    other = replace(SAMPLE, question_id="b", domain="[bold]", finish_reason=finish_reason)
    asked = {"sums": Asked("sums", [Question(q, "?", "2", "s") for q in "ab"], 2)}
    settings = {"model": {"name": "[m]"}, "sampling": SAMPLING}
    with Verifier() as verifier:
        results = measure({"sums": [SAMPLE, other]}, asked, verifier, settings, scorer)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(results_table(results))
    console.print(groups_table(results))
    return console.export_text()


@pytest.fixture
def shown():
    return printed()


def test_names_with_brackets_are_shown_as_they_are(shown):
    assert "[m], k = 1" in shown and "[/sums]" in shown and "[bold]" in shown


def test_a_scorer_of_ones_own_has_a_column():
    shown = printed(Scorer("my/rm.py:reward", "", lambda _, texts: [0.0] * len(texts)))
    assert "reward: best by my/rm.py:reward" in " ".join(shown.split())
    heading = next(line for line in shown.splitlines() if "pass@1" in line).split()
    row = next(line for line in shown.splitlines() if line.startswith("sums ")).split()
    assert heading.index("reward") == heading.index("best") + 1
    assert row[heading.index("reward") - len(heading)] == "100.0"


def test_questions_that_did_not_fit_are_shown():
    assert "2 x 1, 1 did not fit" in printed(finish_reason="no room")
    assert "did not fit" not in printed()


def test_tokens_that_no_server_counted_are_a_dash(shown):
    row = next(line for line in shown.splitlines() if line.startswith("sums "))
    assert row.split()[-4:] == ["-", "0.0", "0.0", "0.0"]
