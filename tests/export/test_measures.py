import math

import numpy as np
import pytest
import torch
from runtimes import ModelRuntime

from minireason.evaluate.intervals import clustered_interval, paired_interval, t_quantile
from minireason.evaluate.sample import ScoredSample
from minireason.export import logits
from minireason.export.agreement import BrokenError
from minireason.export.asking import Answer
from minireason.export.logits import ModelLogits, RuntimeLogits
from minireason.export.measures import (
    OVERALL,
    agreement,
    following,
    losses,
    ratio_interval,
    responses,
)
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
def test_both_give_the_logits_of_transformers(model, plain, block, monkeypatch):
    monkeypatch.setattr(logits, "rows_per_block", lambda vocab_size: block)
    ids = list(range(3, 20))
    with torch.no_grad():
        expected = plain(input_ids=torch.tensor([ids])).logits[0, 4:].numpy()
    for source in (ModelLogits(model, 256), RuntimeLogits(ModelRuntime(plain, 1, 256))):
        blocks = list(source.blocks(ids, 4))
        assert [len(each) for each in blocks[:-1]] == [block] * (len(blocks) - 1)
        assert np.concatenate(blocks) == pytest.approx(expected, abs=1e-4)


def test_following_equals_a_loop_over_positions(model, plain, tokenizer):
    class Bent(ModelRuntime):
        def logits(self, ids):
            return super().logits(ids) * np.float32(0.7)

    asked = answers([9, 8, 7, 6], [11, 12])
    steps = []
    found = following(
        ModelLogits(model, 256),
        RuntimeLogits(Bent(plain, 1, 256)),
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
        ModelLogits(model, 256), RuntimeLogits(ModelRuntime(plain, 1, 5)), asked, lambda *_: None
    )
    assert found.num_tokens == 3 + 1  # 3 of the prompt and 2 of the response give 3 predictions


def test_a_context_that_ends_before_every_response_is_told(model, plain):
    short = RuntimeLogits(ModelRuntime(plain, 1, 2))
    with pytest.raises(BrokenError, match="no response fits the 2 tokens of the export"):
        following(ModelLogits(model, 256), short, answers([9, 8], []), lambda *_: None)


def test_a_share_stays_within_its_bounds(model, plain):
    same = RuntimeLogits(ModelRuntime(plain, 1, 256))
    found = following(ModelLogits(model, 256), same, answers([9, 8], [4, 5, 6]), lambda *_: None)
    assert found.argmax.value == found.argmax.high == 1
    assert 0 <= found.distance.low <= found.distance.value < 1e-4
    assert math.isfinite(found.kl.high)


def test_a_ratio_weighs_responses_by_their_tokens():
    found = ratio_interval([9, 20], [10, 30])
    assert found.value == 29 / 40
    # residuals 9 - 7.25 = 1.75 and 20 - 21.75 = -1.75, two responses, 40 tokens
    half = t_quantile(1) * math.sqrt(2 * 1.75**2 * 2 / 1) / 40
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half))


def test_a_ratio_of_equal_sizes_has_the_interval_of_a_mean():
    values = np.array([0.2, 0.9, 0.4, 0.5, 0.7])
    found = ratio_interval(list(values), [1] * 5)
    half = t_quantile(4) * values.std(ddof=1) / math.sqrt(5)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(half)


def test_the_interval_covers_a_ratio_of_clustered_tokens():
    rng, covered = np.random.default_rng(1), 0
    for _ in range(400):
        sizes = rng.integers(20, 200, size=40)
        rates = rng.beta(8, 2, size=40)  # each response has its own
        hits = rng.binomial(sizes, rates)
        found = ratio_interval(hits.tolist(), sizes.tolist())
        covered += found.low <= 0.8 <= found.high
    assert 0.91 <= covered / 400 <= 0.98


def test_one_response_has_no_width():
    assert ratio_interval([3], [4]).low == ratio_interval([3], [4]).high == 0.75
