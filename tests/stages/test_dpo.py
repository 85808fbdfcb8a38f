from dataclasses import replace
from io import StringIO

import pytest
import torch
from rich.console import Console
from transformers import AutoModelForCausalLM

from minireason.model.chat import Chat
from minireason.model.load import load_model, save_model
from minireason.progress import Progress
from minireason.recipe_file import parse_recipe
from minireason.records import Pair, Question, Rollout, Verdict, read_records, write_records
from minireason.stages.dpo import encoded, pairs, with_reference
from minireason.step import StepContext
from minireason.train.store import TokenStore, write_part

USER = {"role": "user", "content": "What is 1 + 2?"}


@pytest.fixture
def step(tmp_path, base):
    recipe = parse_recipe(
        {
            "model": {"base": str(base)},
            "rollout": {"teacher": "traces"},
            "questions": {"limit": 1},
            "dpo": {"seq_length": 256},
        }
    )
    return StepContext(recipe, tmp_path, {}, Progress(is_quiet=True))


def halved(language_model):
    """The model with other weights."""
    with torch.no_grad():
        for parameter in language_model.model.parameters():
            parameter.mul_(0.5)
    return language_model


@pytest.fixture
def units(base, step):
    chat = Chat(load_model(str(base)).tokenizer)
    answers = {"a": ("\\boxed{3}", "\\boxed{4}, no doubt about it"), "b": ("3", "")}
    preferences = [
        Pair(name, [USER], *([{"role": "assistant", "content": text}] for text in both))
        for name, both in answers.items()
    ]
    part = step.folder / "tokens" / "part-00000"
    write_part(part, encoded(chat, preferences))
    return TokenStore.open([part])


def values(pairs):
    return [s.values["reference_logprobs"].tolist() for pair in pairs for s in pair]


def test_the_reference_is_the_starting_models_log_probability_of_every_token(step, base, units):
    transformers_own = AutoModelForCausalLM.from_pretrained(base)
    for unit in with_reference(step, load_model(str(base)), units):
        for sequence in unit:
            ids = torch.tensor(sequence.ids, dtype=torch.long)[None]
            with torch.no_grad():
                logprobs = transformers_own(ids).logits[0, :-1].log_softmax(-1)
            expected = logprobs.gather(1, ids[0, 1:, None])[-sequence.num_targets :, 0]
            found = torch.tensor(sequence.values["reference_logprobs"])
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_the_reference_is_computed_once_and_stays(step, base, units):
    first = values(with_reference(step, load_model(str(base)), units))
    assert values(with_reference(step, halved(load_model(str(base))), units)) == first


def test_the_reference_of_another_starting_model_is_computed_again(step, base, units, tmp_path):
    first = values(with_reference(step, load_model(str(base)), units))
    other = tmp_path / "other"
    save_model(halved(load_model(str(base))), other)
    console = Console(file=StringIO(), width=200)
    changed = replace(step, inputs={"model": other}, progress=Progress(console))
    again = values(with_reference(changed, load_model(str(other)), units))
    assert "of another model or of other pairs; they are computed again" in console.file.getvalue()
    assert [len(unit) for unit in again] == [len(unit) for unit in first]
    assert again != first


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
