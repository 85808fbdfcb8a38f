"""A score of the user's own: found, called once for the same responses, held to its word."""

import sys

import pytest

from minireason.errors import SamplingError
from minireason.evaluate.scorer import open_scorer
from minireason.runfolder import file_hash

CODE = "calls = []\ndef longest(question, responses):\n    calls.append(question)\n"
CODE += "    return [len(text) for text in responses]\n"
CODE += "def few(question, responses):\n    return [1.0]\n"
CODE += "def endless(question, responses):\n    return [float('inf') for _ in responses]\n"


@pytest.fixture
def path(tmp_path):
    (tmp_path / "rated.py").write_text(CODE)
    return tmp_path / "rated.py"


def test_a_function_of_a_file_is_found_and_asked_once(path):
    scorer = open_scorer(f"{path}:longest")
    assert [scorer("?", ["a", "abc"]) for _ in range(2)] == [[1.0, 3.0]] * 2
    assert sys.modules["minireason_own_rated"].calls == ["?"]
    assert (scorer.name, scorer.code) == (f"{path}:longest", file_hash(path))


def test_a_function_of_a_module_in_the_working_folder_is_found(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    monkeypatch.setattr("sys.path", sys.path[:])
    assert open_scorer("rated:longest")("?", ["ab"]) == [2.0]


def test_a_function_without_a_file_has_no_hash():
    assert open_scorer("builtins:zip").code == ""


@pytest.mark.parametrize("function", ["few", "endless"])
def test_scores_that_are_not_a_finite_number_each_are_refused(function, path):
    scorer = open_scorer(f"{path}:{function}")
    with pytest.raises(SamplingError, match="it must give a finite number for each"):
        scorer("?", ["a", "b"])


@pytest.mark.parametrize("name", ["none.py:f", "json:nothing", "no_such_module:f"])
def test_what_cannot_be_loaded_is_told(name):
    with pytest.raises(SamplingError, match=r"the score .* cannot be loaded"):
        open_scorer(name)
