import pytest

from minireason.edge.manifest import Manifest
from minireason.export.gate_result import Agreement, Estimate, Following, Gate, Loss, Responses
from minireason.export.gate_settings import GateSettings
from minireason.export.judging import judged, loss_text

SETTINGS = GateSettings()
MADE = Manifest(
    format="onnx",
    bits=4,
    target="cpu",
    model="m",
    source={},
    quantization={"settings": {"block_size": 32, "accuracy_level": 4, "keep_8bit": []}},
    context=1024,
)
ONE = Estimate(value=1.0, low=1.0, high=1.0)


def loss(value, low, high, num_samples=1, original=0.6):
    interval = Estimate(value=value, low=low, high=high)
    return Loss(
        num_questions=300,
        num_samples=num_samples,
        original=original,
        exported=original - value,
        loss=interval,
        p_value=0.5,
    )


def responses(num_loops, num=100):
    rate = Estimate(value=num_loops / num, low=0, high=1)
    return Responses(
        num_responses=num, num_loops=num_loops, num_cut=0, mean_tokens=9, loop_rate=rate
    )


def gate(**fields):
    return Gate(settings={}, original="m", weights="w", **fields)


def verdict(**fields):
    return judged(gate(**fields), MADE, SETTINGS)


def test_the_limit_itself_passes():
    assert verdict(overall=loss(0.02, 0.01, 0.03)).is_passed
    assert not verdict(overall=loss(0.0201, 0.01, 0.03)).is_passed


def test_the_sentence_has_loss_interval_count_and_limit():
    found = verdict(overall=loss(0.0334, -0.01, 0.08))
    assert found.failures == ("accuracy: loss 3.3 points [-1.0, 8.0] on 300 questions; at most 2",)


def test_several_samples_are_told():
    assert loss_text(loss(0.01, 0.0, 0.02, 4)).endswith("on 300 questions x 4")


def test_an_interval_around_the_limit_is_doubtful_either_way():
    # half a width of 4.5 points and a limit of 2: 300 * (4.5 / 2)^2 = 1519 questions
    for value in (0.01, 0.03):
        (doubt,) = verdict(overall=loss(value, -0.02, 0.07)).doubts
        assert "anything from -2.0 to 7.0 points" in doubt
        assert "about 1,600 to tell 2 points from none" in doubt


@pytest.mark.parametrize(("low", "high"), [(-0.02, 0.019), (0.021, 0.1), (-0.05, -0.01)])
def test_an_interval_on_one_side_of_the_limit_is_sure(low, high):
    assert not verdict(overall=loss((low + high) / 2, low, high)).doubts


def test_a_narrow_interval_around_the_limit_asks_for_no_more():
    (doubt,) = verdict(overall=loss(0.018, 0.005, 0.03)).doubts
    assert doubt.endswith("from 0.5 to 3.0 points")


def test_an_original_that_answers_nothing_makes_a_pass_doubtful():
    (doubt,) = verdict(overall=loss(0.0, -0.01, 0.01, original=0.02)).doubts
    assert "the original itself answers 2.0 % correctly: a loss beyond 2 points cannot" in doubt
    assert not verdict(overall=loss(0.0, -0.01, 0.01, original=0.021)).doubts


def test_loops_beyond_the_originals_fail():
    def ends(ours, theirs):
        return verdict(original_responses=responses(ours), exported_responses=responses(theirs))

    assert ends(10, 15).is_passed
    assert "16 of 100 responses end in one, the original's 10" in ends(10, 16).failures[0]
    assert ends(16, 0).is_passed


def test_garbage_is_a_defect_and_not_a_matter_of_blocks():
    along = Following(
        num_responses=2,
        num_tokens=1000,
        num_agreed=30,
        argmax=Estimate(value=0.03, low=0.0, high=0.1),
        distance=ONE,
        distance_p95=2.0,
        kl=ONE,
    )
    found = verdict(following=along)
    assert "3.0 % of 1,000 positions; at least 50.0 %" in found.failures[0]
    assert "rounding alone does not do this" in found.advice[0]


def test_other_prompts_fail():
    other = Agreement(
        num_responses=5,
        num_identical=5,
        num_other_prompts=1,
        identical=ONE,
        before_difference=ONE,
    )
    assert "other token ids of 1 of 5 prompts" in verdict(agreement=other).failures[0]


def advice_of(**changes):
    made = MADE.model_copy(update=changes)
    return " ".join(judged(gate(overall=loss(0.1, 0.1, 0.1)), made, SETTINGS).advice)


def calibration(method, num_questions, num_steps):
    rollouts, training = {"num_questions": num_questions}, {"num_steps": num_steps}
    return {"settings": {"method": method, "rollouts": rollouts, "training": training}}


def test_of_a_calibration_a_longer_one_is_advised_and_of_gptq_training():
    found = advice_of(quantization={"calibration": calibration("qat", 500, 400)})
    assert "--calibrate" not in found
    assert "--calibration-questions 3000 --calibration-steps 1000: a longer" in found
    found = advice_of(quantization={"calibration": calibration("qat", 5000, 400)})
    assert "--calibration-steps 1000: a longer" in found and "--calibration-questions" not in found
    assert "--calibrate qat" in advice_of(quantization={"calibration": calibration("gptq", 500, 0)})


def test_what_was_done_already_is_not_advised():
    kept = ["down_proj", "lm_head", "qkv_proj"]
    asked = {"block_size": 16, "accuracy_level": 1, "keep_8bit": kept}
    found = advice_of(
        quantization={"settings": asked, "calibration": calibration("qat", 3000, 1000)}
    )
    assert "--keep-8bit" not in found and "--block-size" not in found
    assert "--calibrat" not in found
    assert "--accuracy-level" not in found and "--bits 8" in found


def test_a_smaller_block_is_advised():
    assert "--block-size 16" in advice_of()


def test_what_a_format_does_not_have_is_not_advised():
    for form in ("gguf", "hf"):
        found = advice_of(format=form)
        assert "--block-size" not in found and "--keep-8bit" not in found and "--bits 8" in found
    assert "--bits 16" in advice_of(bits=8, format="gguf") and "defect" in advice_of(bits=16)
    assert "--bits 32" in advice_of(bits=8)  # ONNX for a CPU has no 16
