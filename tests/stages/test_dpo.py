from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM

from minireason.model.chat import Chat
from minireason.model.load import load_model
from minireason.progress import Progress
from minireason.recipe_file import parse_recipe
from minireason.records import Pair, Question, Rollout, Verdict, read_records, write_records
from minireason.stages.dpo import REFERENCE, _with_reference, pairs
from minireason.step import StepContext
from minireason.workbench import conversation

USER = {"role": "user", "content": "What is 1 + 2?"}


@pytest.fixture
def step(tmp_path):
    recipe = parse_recipe(
        {"rollout": {"teacher": "traces"}, "questions": {"limit": 1}, "dpo": {"seq_length": 256}}
    )
    return StepContext(recipe, tmp_path, {}, Progress(is_quiet=True))


@pytest.fixture
def units(base):
    chat = Chat(load_model(str(base)).tokenizer)
    answers = [("\\boxed{3}", "\\boxed{4}, no doubt about it"), ("3", "")]
    return [
        [conversation(chat, [USER, {"role": "assistant", "content": a}]) for a in pair]
        for pair in answers
    ]


def test_the_reference_is_the_starting_models_log_probability_of_every_token(step, base, units):
    transformers_own = AutoModelForCausalLM.from_pretrained(base)
    for unit in _with_reference(step, load_model(str(base)), units):
        for sequence in unit:
            ids = torch.tensor([sequence.ids])
            with torch.no_grad():
                logprobs = transformers_own(ids).logits[0, :-1].log_softmax(-1)
            expected = logprobs.gather(1, ids[0, 1:, None])[-sequence.num_targets :, 0]
            found = torch.tensor(sequence.values["reference_logprobs"])
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_reference_is_computed_once_and_kept_for_a_resume(step, base, units):
    first = _with_reference(step, load_model(str(base)), units)
    assert (step.folder / REFERENCE).is_file()
    trained = load_model(str(base))
    with torch.no_grad():
        for parameter in trained.model.parameters():
            parameter.mul_(1.5)
    assert _with_reference(step, trained, units) == first


def test_a_reference_whose_writing_was_killed_is_computed_again(step, base, units):
    first = _with_reference(step, load_model(str(base)), units)
    whole = (step.folder / REFERENCE).read_bytes()
    (step.folder / REFERENCE).rename(step.folder / (REFERENCE + ".partial"))
    assert _with_reference(step, load_model(str(base)), units) == first
    assert (step.folder / REFERENCE).read_bytes() == whole


def test_reference_values_go_to_the_sequences_they_belong_to(step, base, units):
    together = _with_reference(step, load_model(str(base)), units)
    alone_step = replace(step, folder=step.folder / "alone")
    alone_step.folder.mkdir()
    (alone,) = _with_reference(alone_step, load_model(str(base)), units[1:])
    for expected, found in zip(alone, together[1], strict=True):
        assert found.values["reference_logprobs"] == pytest.approx(
            expected.values["reference_logprobs"], abs=1e-4
        )


def test_pairs_of_the_teacher_prefer_the_correct_rollout(step, tmp_path):
    folders = {name: tmp_path / name for name in ("questions", "rollout", "verify")}
    for folder in folders.values():
        folder.mkdir()
    texts = {0: "two \\boxed{2}", 1: "three \\boxed{3}"}
    write_records(folders["questions"] / "q.parquet", [Question("q", "1+1?", "2", "t")], Question)
    rollouts = [Rollout("q", n, text, "m", "stop", 5) for n, text in texts.items()]
    write_records(folders["rollout"] / "p.parquet", rollouts, Rollout)
    verdicts = [Verdict("q", 0, "correct", "", "", ""), Verdict("q", 1, "incorrect", "", "", "")]
    write_records(folders["verify"] / "p.parquet", verdicts, Verdict)
    counts = pairs(replace(step, inputs=folders))
    (pair,) = read_records(tmp_path / "pairs", Pair)
    assert (counts["out"], pair.chosen[0]["content"]) == (1, texts[0])
    assert (pair.prompt[0]["content"], pair.rejected[0]["content"]) == ("1+1?", texts[1])
