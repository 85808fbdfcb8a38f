"""The rollout step with a server on this machine as the teacher."""

import json
import re

import pytest
from chat_server import completion, echo

from minireason.endpoint.server import Endpoint
from minireason.recipe_file import load_recipe
from minireason.records import Rollout, read_records
from minireason.runfolder import read_json
from minireason.stages.rollout import teacher

RECIPE = """
[run]
stages = ["midtrain"]
[questions]
sources = [{questions!r}]
[rollout]
base_url = {url!r}
model = "m"
num_rollouts = 2
shard_size = 3
concurrency = 4
prices = [1000.0, 2000.0]
"""


@pytest.fixture
def recipe(tmp_path):
    rows = [{"question": f"What is {n} plus {n}?", "answer": str(2 * n)} for n in range(4)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def write(server):
        text = RECIPE.format(questions=str(tmp_path / "q.jsonl"), url=server.url)
        (tmp_path / "recipe.toml").write_text(text)
        return tmp_path / "recipe.toml"

    return write


def test_the_recipe_says_where_and_how_to_ask(serve, recipe):
    server = serve(echo)
    found = teacher(load_recipe(recipe(server), ["rollout.timeout_s=7"]))
    assert found.endpoint == Endpoint(server.url, "m", concurrency=4, timeout_s=7.0)


def rows(folder):
    return read_json(folder / "rollout" / "manifest.json")["rows"]


def fails_once_for_good(request, attempt):
    bad = request["messages"][-1]["content"].startswith("What is 2")
    return (400, b"too long", {}) if bad else echo(request, attempt)


def test_what_the_server_was_asked_is_counted(serve, recipe, command, tmp_path):
    server = serve(lambda r, n: completion("2", "length", reasoning="1", num_tokens=5))
    code, _, err = command("rollout", recipe(server), "--out", tmp_path / "run")
    assert code == 0, err
    assert rows(tmp_path / "run") == {
        "in": 4,
        "out": 8,
        "unanswered": 0,
        "truncated": 8,
        "tokens": 40,
        "requests": 8,
        "retries": 0,
        "prompt tokens": 24,
        "completion tokens": 40,
        "reasoning tokens": 0,
        "cost": 0.104,
    }


def test_failed_samples_end_the_step_and_are_asked_alone_again(serve, recipe, command, tmp_path):
    server, out = serve(fails_once_for_good), ("--out", tmp_path / "run")
    code, _, err = command("rollout", recipe(server), *out)
    assert code == 2
    message = r"error: 2 of 8 samples failed, at last by status 400: too long \(1 try\)"
    assert re.match(message, err.splitlines()[-1])
    again = serve(echo)
    code, _, err = command("rollout", recipe(again), *out, "--set", "rollout.concurrency=1")
    assert code == 0, err
    assert len(again.requests) == 2
    assert rows(tmp_path / "run")["requests"] == 10
    assert len(read_records(tmp_path / "run" / "rollout", Rollout)) == 8
    assert list((tmp_path / "run" / "rollout").glob("*.jsonl")) == [
        tmp_path / "run" / "rollout" / "usage.jsonl"
    ]


def test_another_model_in_the_same_folder_is_refused(serve, recipe, command, tmp_path):
    out = ("--out", tmp_path / "run")
    assert command("rollout", recipe(serve(fails_once_for_good)), *out)[0] == 2
    code, _, err = command("rollout", tmp_path / "recipe.toml", *out, "--set", "rollout.model=n")
    assert code == 2 and "rollout.model was 'm', is now 'n'" in err


def test_the_key_stands_nowhere_in_the_run_folder(serve, recipe, command, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "very-secret")

    def indiscreet(request, attempt):
        return (500, b"your key is very-secret", {}) if attempt == 1 else echo(request, attempt)

    monkeypatch.setattr("minireason.endpoint.session.backoff_wait_s", lambda *_: 0.0)
    code, out, err = command("rollout", recipe(serve(indiscreet)), "--out", tmp_path / "run")
    assert code == 0 and "very-secret" not in out + err
    for path in (p for p in (tmp_path / "run").rglob("*") if p.is_file()):
        assert b"very-secret" not in path.read_bytes()


def test_a_url_with_a_secret_is_refused_before_anything_is_written(command, tmp_path):
    (tmp_path / "recipe.toml").write_text(
        '[questions]\nsources = ["q.jsonl"]\n'
        '[rollout]\nbase_url = "http://me:secret@host/v1"\nmodel = "m"\n'
    )
    code, out, err = command("rollout", tmp_path / "recipe.toml", "--out", tmp_path / "run")
    assert code == 2 and "a base_url holds a user" in err
    assert "me:secret" not in out + err and not (tmp_path / "run").exists()


@pytest.mark.parametrize("prices", ["[1.0]", "[1.0, 2.0, 3.0]", "[-1.0, 2.0]"])
def test_prices_are_two_or_none(serve, recipe, command, prices):
    changed = ("--set", f"rollout.prices={prices}", "--dry-run")
    code, _, err = command("run", recipe(serve(echo)), *changed)
    assert code == 2 and "rollout.prices" in err
