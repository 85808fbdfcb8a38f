import math

import numpy as np
import pytest
import torch
from runtimes import ModelRuntime

from minireason.evaluate.intervals import clustered_interval, paired_interval
from minireason.evaluate.sample import ScoredSample
from minireason.export import scorers
from minireason.export.agreement import BrokenError
from minireason.export.asking import Answer
from minireason.export.measures import OVERALL, agreement, following, losses, responses
from minireason.export.scorers import ModelScorer, RuntimeScorer
from minireason.model.load import load_model


def sample(benchmark="b", question="q", index=0, verdict="correct", **fields):
    fields = {"finish_reason": "stop", "num_tokens": 10, "is_loop": False} | fields
    return ScoredSample(
        benchmark=benchmark,
        question_id=question,
        index=index,
        question="1 + 1?",
        answer="2",
        response="2",
        verdict=verdict,
        extracted="2",
        method="exact",
        **fields,
    )


def judged(marks, benchmark="b"):
    """One question for each mark: 1 correct, 0 incorrect."""
    verdicts = {"1": "correct", "0": "incorrect"}
    return [sample(benchmark, f"q{n}", 0, verdicts[mark]) for n, mark in enumerate(marks)]


def answers(*token_ids, prompt=(5, 6, 7)):
    return [
        Answer(list(prompt), list(ids), sample(question=f"q{n}")) for n, ids in enumerate(token_ids)
    ]


def test_a_loss_is_what_the_export_lacks_paired_by_question():
    found = losses(judged("1110"), judged("1001"))["b"]
    low, high = paired_interval(np.array([0.0, -1, -1, 1]), 1)
    assert (found.original, found.exported, found.loss.value) == (0.75, 0.5, 0.25)
    assert (found.loss.low, found.loss.high) == (-high, -low)
    assert found.p_value == 1.0  # three differ: 6 of the 8 sign patterns sum to 1 or less, 2 to 3


def test_questions_of_all_benchmarks_count_alike():
    ours, theirs = judged("11", "a") + judged("1111", "b"), judged("00", "a") + judged("1111", "b")
    found = losses(ours, theirs)
    assert found[OVERALL].loss.value == pytest.approx(2 / 6)
    assert found["a"].loss.value == 1 and found["b"].loss.value == 0
    assert found[OVERALL].num_questions == 6  # though both have a q0


def test_loops_and_cuts_are_counted_by_question():
    samples = [sample(index=k, is_loop=k == 0) for k in range(4)]
    samples += [
        sample(question="r", index=k, finish_reason="length", num_tokens=30) for k in range(4)
    ]
    found = responses(samples)
    assert (found.num_responses, found.num_loops, found.num_cut) == (8, 1, 4)
    assert found.mean_tokens == 20 and found.loop_rate.value == 1 / 8
    assert (found.loop_rate.low, found.loop_rate.high) == clustered_interval(np.array([0.25, 0]), 4)


def test_agreement_is_of_whole_responses_and_of_their_beginnings():
    found = agreement(answers([1, 2, 3, 4], [1, 2]), answers([1, 2, 9], [1, 2]))
    assert (found.num_responses, found.num_identical) == (2, 1)
    assert found.before_difference.value == (2 / 4 + 1) / 2
    assert found.num_other_prompts == 0
    assert agreement(answers([1]), answers([1], prompt=(5, 6))).num_other_prompts == 1


def test_a_question_that_left_no_room_is_no_response_to_agree_on():
    found = agreement(answers([1, 2], [], [3]), answers([1, 2], [7], [], prompt=(5, 6, 7)))
    assert (found.num_responses, found.num_identical, found.num_other_prompts) == (1, 1, 0)


@pytest.fixture(scope="module")
def model(base):
    return load_model(str(base)).model


@pytest.mark.parametrize("block", [1, 5, 1000])
def test_a_scorer_gives_the_logits_of_transformers(model, plain, block, monkeypatch):
    monkeypatch.setattr(scorers, "rows_per_block", lambda vocab_size: block)
    ids = list(range(3, 20))
    with torch.no_grad():
        expected = plain(input_ids=torch.tensor([ids])).logits[0, 4:].numpy()
    for scorer in (ModelScorer(model, 256), RuntimeScorer(ModelRuntime(plain, 1, 256))):
        blocks = list(scorer.blocks(ids, 4))
        assert [len(each) for each in blocks[:-1]] == [block] * (len(blocks) - 1)
        assert np.concatenate(blocks) == pytest.approx(expected, abs=1e-4)


def test_following_equals_a_loop_over_positions(model, plain, tokenizer):
    class Bent(ModelRuntime):
        def logits(self, ids):
            return super().logits(ids) * np.float32(0.7)

    asked = answers([9, 8, 7, 6], [11, 12])
    steps = []
    found = following(
        ModelScorer(model, 256),
        RuntimeScorer(Bent(plain, 1, 256)),
        asked,
        lambda done, total, text: steps.append((done, total)),
    )
    distances, kls = [], []
    for one in asked:
        for place, token in enumerate(one.token_ids):
            ids = torch.tensor([[*one.prompt_ids, *one.token_ids[:place]]])
            with torch.no_grad():
                logits = plain(input_ids=ids).logits[0, -1].double()
            p, q = logits.log_softmax(0), (0.7 * logits).log_softmax(0)
            distances.append(abs(float(p[token] - q[token])))
            kls.append(float((p.exp() * (p - q)).sum()))
    assert (found.num_responses, found.num_tokens, found.num_agreed) == (2, 6, 6)
    assert found.distance.value == pytest.approx(sum(distances) / 6, rel=1e-4)
    assert found.kl.value == pytest.approx(sum(kls) / 6, rel=1e-4)
    assert found.distance_p95 == pytest.approx(np.quantile(distances, 0.95), rel=1e-4)
    assert steps == [(1, 2), (2, 2)]


def test_a_response_is_followed_as_far_as_the_shorter_context_reaches(model, plain):
    asked = answers([9, 8, 7, 6], [11])
    found = following(
        ModelScorer(model, 256), RuntimeScorer(ModelRuntime(plain, 1, 5)), asked, lambda *_: None
    )
    assert found.num_tokens == 3 + 1  # 3 of the prompt and 2 of the response give 3 predictions


def test_a_context_that_ends_before_every_response_is_told(model, plain):
    short = RuntimeScorer(ModelRuntime(plain, 1, 2))
    with pytest.raises(BrokenError, match="no response fits the 2 tokens of the export"):
        following(ModelScorer(model, 256), short, answers([9, 8], []), lambda *_: None)


def test_a_share_stays_within_its_bounds(model, plain):
    same = RuntimeScorer(ModelRuntime(plain, 1, 256))
    found = following(ModelScorer(model, 256), same, answers([9, 8], [4, 5, 6]), lambda *_: None)
    assert found.argmax.value == found.argmax.high == 1
    assert 0 <= found.distance.low <= found.distance.value < 1e-4
    assert math.isfinite(found.kl.high)
