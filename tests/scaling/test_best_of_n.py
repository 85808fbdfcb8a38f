import sys

import pytest

from minireason.errors import SamplingError
from minireason.scaling.best_of_n import BestOfN, mean_logprob, open_score, sum_logprob


def test_mean_and_sum_prefer_different_responses(task, said, played):
    # sums -4, -5, -9; means -0.4, -0.25, -0.9
    script = [said("1", 10, -4.0), said("2", 20, -5.0), said("3", 10, -9.0)]
    _, by_mean = played(BestOfN(3, mean_logprob).solve(task, 3), script)
    _, by_sum = played(BestOfN(3, sum_logprob).solve(task, 3), script)
    assert by_mean.answers == ((script[1].text, 1.0),)
    assert by_sum.answers == ((script[0].text, 1.0),)
    assert by_mean.num_tokens == 40


def test_a_smaller_size_is_the_mean_over_subsets(task, said, played):
    script = [said("1", 10, -4.0), said("2", 20, -5.0), said("3", 10, -9.0)]
    _, outcome = played(BestOfN(3, mean_logprob).solve(task, 2), script)
    # the second wins both pairs that it is in
    assert dict(outcome.answers) == pytest.approx({script[1].text: 2 / 3, script[0].text: 1 / 3})
    assert outcome.num_tokens == pytest.approx(40 * 2 / 3)


def test_a_backend_without_log_probabilities_is_told_what_to_do(said):
    with pytest.raises(SamplingError, match="--score module:function"):
        mean_logprob("?", [said("1")])


def test_a_scorer_of_ones_own_takes_the_question_and_all_texts(
    task, said, played, tmp_path, monkeypatch
):
    (tmp_path / "my_scorer.py").write_text(
        "calls = []\n"
        "def longest(question, responses):\n"
        "    assert question == 'What is 3+4?'\n"
        "    calls.append(responses)\n"
        "    return [len(text) for text in responses]\n"
        "def few(question, responses):\n    return [1.0]\n"
    )
    monkeypatch.chdir(tmp_path)
    script = [said("1"), said("123"), said("12")]
    longest = BestOfN(3, open_score("my_scorer:longest"))
    played(longest.solve(task, 1), script)
    _, outcome = played(longest.solve(task, 3), script)
    assert len(sys.modules["my_scorer"].calls) == 1  # scored once for all sizes
    assert outcome.answers == ((script[1].text, 1.0),)
    with pytest.raises(SamplingError, match=r"gave \[1.0\] for 3 responses"):
        played(BestOfN(3, open_score("my_scorer:few")).solve(task, 3), script)


@pytest.mark.parametrize("name", ["median", "json:nothing", "no_such_module:f"])
def test_a_score_that_is_none_is_refused(name):
    with pytest.raises(SamplingError, match=r"module:function or path/file\.py:function"):
        open_score(name)
