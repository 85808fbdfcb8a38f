"""The verify step with a judge on this machine."""

import json

import pytest
from chat_server import completion

from minireason.records import Verdict, read_records
from minireason.runfolder import read_json

RECIPE = """
[run]
stages = ["midtrain"]
[questions]
sources = [{questions!r}]
solution_column = "solution"
[rollout]
teacher = "traces"
shard_size = 2
"""
ANSWERS = ["4", "7", "no idea", "two pairs"]  # to the sum 2 + 2, four times in other words


@pytest.fixture
def recipe(tmp_path):
    rows = [
        {"question": f"Sum {n}: 2 + 2?", "answer": "4", "solution": f"It is \\boxed{{{answer}}}."}
        for n, answer in enumerate(ANSWERS)
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "r.toml").write_text(RECIPE.format(questions=str(tmp_path / "q.jsonl")))
    return tmp_path / "r.toml"


@pytest.fixture
def verify(recipe, command, tmp_path):
    def run(*sets):
        arguments = [word for one in sets for word in ("--set", one)]
        return command("run", recipe, "--until", "verify", "--out", tmp_path / "run", *arguments)

    return run


def rows(tmp_path):
    return read_json(tmp_path / "run" / "verify" / "manifest.json")["rows"]


def four_is_right(request, attempt):
    is_right = "\ntwo pairs\n" in request["messages"][0]["content"]
    return completion(f"Verdict: {'correct' if is_right else 'incorrect'}")


def test_without_a_judge_nothing_is_asked_or_logged(verify, tmp_path):
    code, _, err = verify()
    assert code == 0, err
    assert not [name for name in rows(tmp_path) if "judge" in name]
    assert not list((tmp_path / "run" / "verify").glob("*.jsonl"))


def test_a_judge_decides_what_the_rules_reject_or_cannot_read(verify, serve, tmp_path):
    server = serve(four_is_right)
    code, _, err = verify(f"judge.base_url={server.url}", "judge.model=j")
    assert code == 0, err
    verdicts = read_records(tmp_path / "run" / "verify", Verdict)
    assert [v.verdict for v in verdicts if v.method == "judge"].count("correct") == 1
    counts = rows(tmp_path)
    assert (counts["in"], counts["judged"], counts["judge calls"]) == (4, 3, 3)
    assert counts["by judge"] == len(server.requests) == 3
    assert counts["correct"] == 2
    logs = sorted((tmp_path / "run" / "verify").glob("*.judge.jsonl"))
    assert [log.name for log in logs] == ["part-00000.judge.jsonl", "part-00001.judge.jsonl"]


def test_after_a_stop_the_judge_goes_on_where_it_was(verify, serve, tmp_path):
    num_asked = 0

    def stop_late(request, attempt):
        nonlocal num_asked
        num_asked += 1
        return (401, b"", {}) if num_asked == 3 else four_is_right(request, attempt)

    stopping = serve(stop_late)
    sets = [f"judge.base_url={stopping.url}", "judge.model=j", "rollout.concurrency=1"]
    code, _, err = verify(*sets)
    assert code == 2 and "JUDGE_API_KEY, which is not set" in err
    code, _, err = verify(*sets)
    assert code == 0, err
    assert len(stopping.requests) == 4 and rows(tmp_path)["judge calls"] == 3


@pytest.mark.parametrize("rechecks", ['["unknown"]', '["incorrect"]'])
def test_only_the_chosen_verdicts_are_rechecked(verify, serve, tmp_path, rechecks):
    verify(
        f"judge.base_url={serve(four_is_right).url}", "judge.model=j", f"judge.rechecks={rechecks}"
    )
    reasons = {v.reason for v in read_records(tmp_path / "run" / "verify", Verdict)}
    other = "incorrect" if "unknown" in rechecks else "unknown"
    assert not any(f"the rules said {other}" in reason for reason in reasons)


def test_a_judge_without_a_model_is_an_error(verify):
    code, _, err = verify("judge.base_url=http://127.0.0.1:9/v1")
    assert code == 2 and "judge.model is empty" in err
