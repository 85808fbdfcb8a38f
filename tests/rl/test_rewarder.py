"""The weighted sum of rewards, and the same beside a sampler whatever the timing."""

import math
import os
import random
import signal
import threading
import time
from concurrent.futures import CancelledError
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minireason.errors import MinireasonError, RecipeError
from minireason.rl.rewarder import Rewarded, Rewarder
from minireason.rl.rewards import Response
from minireason.verify import Decision, Verifier

ASKED = Response("What is $2+2$?", "4", "", r"\boxed{4}", 10, "stop", 100)
ALL = {"correct": 1.0, "format": 0.5, "length": 8 / 13, "repetition": 1 / 13, "overlong": 1.0}


class SlowVerifier:
    """Decides by the text, after a wait that has nothing to do with it; keeps the batches."""

    def __init__(self, longest_s=0.002, before=lambda: None):
        self.longest_s, self.before, self.batches = longest_s, before, []

    def verify_batch(self, items):
        self.before()
        self.batches.append(list(items))
        time.sleep(random.uniform(0, self.longest_s))
        verdicts = {"4": "correct", "?": "unknown"}
        answers = [text[-2:-1] for text, _, _ in items]
        return [Decision(verdicts.get(a, "incorrect"), a, "stub") for a in answers]


@pytest.fixture
def mine(tmp_path):
    """A reward that fails on the text 'fail N'."""
    path = tmp_path / "mine.py"
    path.write_text(
        "def reward(question, response, answer):\n"
        "    if response.startswith('fail'):\n        raise ValueError(response)\n"
        "    return len(response) / 100\n"
    )
    return f"{path}:reward"


def test_the_total_is_the_weighted_sum_of_the_parts_which_have_no_weight():
    text = r"<think>2 and 2</think> \boxed{4}"
    with Rewarder(ALL, SlowVerifier()) as rewarder:
        (rewarded,) = rewarder.reward([replace(ASKED, text=text, num_tokens=90)])
    parts = {"correct": 1.0, "format": 1.0, "repetition": 0.0, "overlong": -0.5}
    shorter = 0.5 + 0.25 * (1 + math.cos(math.pi * (0.9 - 25 / 31) / (6 / 31)))
    assert rewarded.parts == pytest.approx({**parts, "length": shorter})
    assert rewarded.total == pytest.approx(1 + 0.5 + 8 / 13 * shorter - 0.5)
    assert rewarded.decision == Decision("correct", "4", "stub")


@pytest.mark.parametrize(
    ("weights", "total"),
    [
        ({"correct": 1.0}, None),
        ({"length": 1.0, "overlong": 1.0}, None),
        ({"correct": 0.0, "overlong": 2.0}, -1.0),  # measured, not counted
        ({"overlong": 1.0}, -0.5),
    ],
)
def test_an_answer_that_cannot_be_read_has_no_total_where_its_verdict_counts(weights, total):
    with Rewarder(weights, SlowVerifier()) as rewarder:
        (rewarded,) = rewarder.reward([replace(ASKED, text=r"\boxed{?}", num_tokens=90)])
    assert rewarded.total == total
    assert rewarded.parts.keys() == weights.keys() - {"correct", "length"}


def test_the_verifier_is_given_the_option_that_a_letter_stands_for():
    verifier = SlowVerifier()
    asked = replace(ASKED, question="Which? (A) 3 (B) 4", answer="B", answer_kind="choice")
    with Rewarder({"correct": 1.0}, verifier) as rewarder:
        rewarder.reward([asked])
    assert verifier.batches == [[(r"\boxed{4}", "(B) 4", "choice")]]


def test_the_verdicts_are_the_verifier_s():
    texts = [r"\boxed{\frac{8}{2}}", r"\boxed{5}", "no answer", r"\boxed{\int}"]
    with Verifier() as verifier, Rewarder({"correct": 1.0}, verifier) as rewarder:
        for key, text in enumerate(texts):
            rewarder.submit(key, replace(ASKED, text=text))
        rewarded = rewarder.results()
        decisions = verifier.verify_batch([(text, "4", "") for text in texts])
    assert [r.decision for r in rewarded.values()] == decisions
    assert [r.total for r in rewarded.values()][:3] == [1.0, -1.0, -1.0]


RESPONSES = st.lists(
    st.builds(
        replace,
        st.just(ASKED),
        text=st.sampled_from([r"\boxed{4}", r"\boxed{5}", r"\boxed{?}", "<think>4", "4 " * 30]),
        num_tokens=st.integers(1, 100),
        finish_reason=st.sampled_from(["stop", "length"]),
    ),
    max_size=40,
)


@settings(deadline=None, max_examples=30)
@given(RESPONSES, st.randoms(use_true_random=False))
def test_beside_a_sampler_they_are_what_they_are_one_by_one(responses, order):
    """Finished in any order, at any moment, batched as it comes."""
    verifier = SlowVerifier()
    with Rewarder(ALL, verifier) as rewarder:
        expected = [rewarder.reward([response])[0] for response in responses]
        finished = list(enumerate(responses))
        order.shuffle(finished)
        for key, response in finished:
            rewarder.submit(key, response)
            if order.random() < 0.2:
                time.sleep(0.001)
        results = rewarder.results()
    assert list(results) == list(range(len(responses)))
    assert list(results.values()) == expected


def test_what_waits_is_verified_together_a_batch_at_a_time():
    gate = threading.Event()
    verifier = SlowVerifier(before=gate.wait)
    with Rewarder({"correct": 1.0}, verifier) as rewarder:
        for key in range(41):
            rewarder.submit(key, ASKED)
        gate.set()
        assert len(rewarder.results()) == 41
    assert max(map(len, verifier.batches)) == 16 and len(verifier.batches) <= 5


def test_they_are_made_while_the_caller_goes_on():
    began, gate = threading.Event(), threading.Event()
    verifier = SlowVerifier(before=lambda: (began.set(), gate.wait()))
    with Rewarder({"correct": 1.0}, verifier) as rewarder:
        rewarder.submit(0, ASKED)  # returns while the verifier is at work
        assert began.wait(10)
        gate.set()
        assert rewarder.results()[0].total == 1.0


def test_results_leave_nothing_behind_for_the_next_step():
    with Rewarder({"correct": 1.0}, SlowVerifier()) as rewarder:
        assert rewarder.results() == {}
        rewarder.submit(7, ASKED)
        rewarder.submit(3, replace(ASKED, text=r"\boxed{5}"))
        assert [(k, r.total) for k, r in rewarder.results().items()] == [(3, -1.0), (7, 1.0)]
        rewarder.submit(7, ASKED)
        assert list(rewarder.results()) == [7]


def test_a_key_is_submitted_once():
    with Rewarder({"correct": 1.0}, SlowVerifier()) as rewarder:
        rewarder.submit(7, ASKED)
        with pytest.raises(ValueError, match="the key 7 has been submitted before"):
            rewarder.submit(7, ASKED)


@pytest.mark.parametrize("seed", range(5))
def test_of_several_failures_the_smallest_key_s_is_raised(mine, seed):
    with Rewarder({mine: 1.0}, SlowVerifier()) as rewarder:
        keys = list(range(30))
        random.Random(seed).shuffle(keys)
        for key in keys:
            text = f"fail {key}" if key in (11, 12, 29) else "fine"
            rewarder.submit(key, replace(ASKED, text=text))
        with pytest.raises(MinireasonError, match=r"ValueError: fail 11 .*What is \$2\+2\$"):
            rewarder.results()
        rewarder.submit(0, replace(ASKED, text="fine"))
        assert rewarder.results() == {
            0: Rewarded(0.04, {mine: 0.04}, Decision("incorrect", "n", "stub"))
        }


def test_a_failure_of_the_verifier_is_raised_too():
    def fail():
        raise MinireasonError("the verification worker did not start")

    with Rewarder({"correct": 1.0}, SlowVerifier(before=fail)) as rewarder:
        rewarder.submit(0, ASKED)
        with pytest.raises(MinireasonError, match="did not start"):
            rewarder.results()


def test_ctrl_c_while_waiting_ends_the_wait_after_the_batch_at_work():
    began, gate = threading.Event(), threading.Event()
    verifier = SlowVerifier(before=lambda: (began.set(), gate.wait()))
    with (
        pytest.raises(KeyboardInterrupt),
        Rewarder({"correct": 1.0}, verifier) as rewarder,
    ):
        for key in range(100):
            rewarder.submit(key, ASKED)
        assert began.wait(10)
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        threading.Timer(0.3, gate.set).start()
        rewarder.results()
    assert len(verifier.batches) == 1
    assert not any("minireason-rewards" in thread.name for thread in threading.enumerate())


def test_what_was_left_has_no_results():
    gate = threading.Event()
    rewarder = Rewarder({"correct": 1.0}, SlowVerifier(before=gate.wait))
    for key in range(20):
        rewarder.submit(key, ASKED)
    threading.Timer(0.05, gate.set).start()
    rewarder.close()
    with pytest.raises(CancelledError):
        rewarder.results()


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ({"corect": 1.0}, "no reward 'corect'; the nearest is 'correct'"),
        ({"correct": 0.0, "length": 0}, "every response is worth the same"),
        ({}, "every response is worth the same"),
        ({"correct": math.nan}, "'correct' has the weight nan; it must be finite"),
        ({"math:sqrt": 1.0, "no/file.py:f": 1.0}, "there is no file no/file.py"),
    ],
)
def test_weights_that_cannot_be_are_refused_before_anything_is_sampled(weights, told):
    with pytest.raises(RecipeError, match=told):
        Rewarder(weights, SlowVerifier())
