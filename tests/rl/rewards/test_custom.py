"""A reward of the user's own: found by module or file, called, and its failures told."""

import numpy as np
import pytest

from minireason.errors import MinireasonError, RecipeError
from minireason.rl.rewards import find_reward
from minireason.rl.rewards.custom import load_reward


@pytest.fixture
def written(tmp_path):
    """The name of the function `reward` in a file of this text."""

    def write(text):
        path = tmp_path / "mine.py"
        path.write_text(text)
        return f"{path}:reward"

    return write


@pytest.mark.parametrize(
    "text",
    [
        "def reward(question, response, answer):\n    return len(question + response + answer)",
        "def reward(answer, question, response):\n    return len(question) + len(response) + 1",
        "def reward(question, response, answer, n=12):\n    return n + len(response + answer)",
        "def reward(response):\n    return len(response.question) + len(response.text) + 1",
        "class Reward:\n    def __call__(self, r):\n        return float(len(r.text)) + 13\n"
        "reward = Reward()",
    ],
)
def test_it_takes_the_three_texts_by_name_or_one_response(written, judged, text):
    assert load_reward(written(text))(judged("abcd", question="What is 2+2?")) == 17.0


def test_it_is_found_by_its_module(judged, tmp_path, monkeypatch):
    (tmp_path / "my_pkg").mkdir()
    (tmp_path / "my_pkg" / "__init__.py").touch()
    (tmp_path / "my_pkg" / "rewards.py").write_text("def short(r): return 1 / len(r.text)")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_reward("my_pkg.rewards:short")(judged("abcd")) == 0.25


def test_a_file_may_hold_dataclasses_and_is_found_from_the_working_folder(
    written, judged, tmp_path, monkeypatch
):
    written(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Weights:\n    a: float = 2.0\n"
        "def reward(r):\n    return Weights().a\n"
    )
    monkeypatch.chdir(tmp_path)
    assert find_reward("mine.py:reward")(judged()) == 2.0


@pytest.mark.parametrize("value", [True, 1, 1.0, np.float32(1), np.int64(1)])
def test_any_finite_number_will_do(written, judged, value):
    reward = load_reward(written("import numpy as np\ndef reward(r):\n    return " + repr(value)))
    assert reward(judged()) == 1.0 and type(reward(judged())) is float


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("no_such_package.rewards:f", "No module named 'no_such_package'"),
        ("no/such/file.py:f", "there is no file no/such/file.py"),
        (":f", "Empty module name"),
        ("math:no_such", "has no attribute 'no_such'"),
    ],
)
def test_what_cannot_be_found_is_told_with_the_forms_allowed(name, told):
    with pytest.raises(RecipeError, match=r"'package.module:function' or 'path/file.py:fu") as info:
        find_reward(name)
    assert told in str(info.value) and repr(name) in str(info.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def reward(:", r"SyntaxError: invalid syntax .*mine.py, line 1"),
        ("import json\nx = 1 / 0", r"ZeroDivisionError: division by zero \(mine.py, line 2\)"),
        ("def other(r): return 1", "has no attribute 'reward'"),
    ],
)
def test_a_file_that_cannot_be_imported_is_told_with_its_line(written, text, told):
    with pytest.raises(RecipeError, match=told):
        load_reward(written(text))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def reward(prompt, completion): return 1", r"takes \(prompt, completion\)"),
        ("def reward(): return 1", r"takes \(\)"),
        ("def reward(response, answer): return 1", r"takes \(response, answer\)"),
        ("reward = 3", "is 3"),
    ],
)
def test_a_wrong_signature_is_told_with_the_right_ones(written, text, told):
    allowed = r"must be a function of \(question, response, answer\) or of one JudgedResponse"
    with pytest.raises(RecipeError, match=f"{told}; it {allowed}"):
        load_reward(written(text))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return 1 / 0", r"raised ZeroDivisionError: division by zero \(mine.py, line 2\)"),
        ("assert False", r"raised AssertionError \(mine.py, line 2\)"),
        ("raise ValueError('two\\nlines')", "raised ValueError: two lines"),
        ("return 10 ** 400", "raised OverflowError"),
        ("return float('nan')", "returned nan"),
        ("return float('inf')", "returned inf"),
        ("return None", "returned None"),
        ("return '1'", "returned '1'"),
        ("return [1.0]", r"returned \[1.0\]"),
    ],
)
def test_what_goes_wrong_names_the_function_and_the_question(written, judged, body, told):
    name = written(f"def reward(r):\n    {body}")
    with pytest.raises(MinireasonError, match=told) as info:
        load_reward(name)(judged(question="What is\n$2+2$?"))
    message = str(info.value)
    assert name in message and "'What is $2+2$?'" in message and "\n" not in message
