import json

import pytest

from minireason.model.chat import Chat
from minireason.model.load import load_model
from minireason.progress import Progress
from minireason.recipe_file import parse_recipe
from minireason.records import Example, write_records
from minireason.stages.midtrain import encoded, held_out, midtrain
from minireason.step import StepContext
from minireason.workbench import conversation

NUM_EXAMPLES = 40
SIZES = {"seq_length": 16, "batch_size": 4, "micro_batch_size": 2, "epochs": 2}


def example(number):
    question = {"role": "user", "content": f"What is {number} + {number}?"}
    answer = " ".join(["so"] * (number % 7)) + f" \\boxed{{{2 * number}}}"
    return Example(f"e{number}", [question, {"role": "assistant", "content": answer}])


@pytest.fixture
def step(tmp_path, base):
    """A mid-training step of two epochs on rows that are shorter than most examples."""
    data, folder = tmp_path / "curate" / "midtrain", tmp_path / "midtrain"
    data.mkdir(parents=True)
    folder.mkdir()
    write_records(data / "part-00000.parquet", map(example, range(NUM_EXAMPLES)), Example)
    recipe = parse_recipe(
        {
            "model": {"base": str(base)},
            "rollout": {"teacher": "traces"},
            "questions": {"limit": 1},
            "midtrain": SIZES | {"packing": "split", "validation_share": 0.3, "validate_every": 5},
        }
    )
    return StepContext(recipe, folder, {"data": tmp_path / "curate"}, Progress(is_quiet=True))


def test_split_rows_train_on_examples_longer_than_a_row(step, base):
    chat, seed = Chat(load_model(str(base)).tokenizer), step.recipe.run.seed
    examples = [example(number) for number in range(NUM_EXAMPLES)]
    lengths = {e.id: len(conversation(chat, e.messages).ids) for e in examples}
    is_held_out = {e.id: held_out(e, 0.3, seed) for e in examples}
    assert max(lengths.values()) > 16
    counts = midtrain(step)
    num_held_out = sum(is_held_out.values())
    assert counts["in"] == NUM_EXAMPLES and counts["dropped: overlong"] == 0
    assert (counts["out"], counts["dropped: held out"]) == (
        NUM_EXAMPLES - num_held_out,
        num_held_out,
    )
    lines = [json.loads(line) for line in (step.folder / "metrics.jsonl").open()]
    trained = sum(length for name, length in lengths.items() if not is_held_out[name])
    num_rows = (trained + 14) // 16  # one token alone makes no row
    # a cut leaves out at most the token before it and the one behind
    assert 2 * (trained - 2 * num_rows) <= sum(line["num_tokens"] for line in lines) <= 2 * trained
    assert lines[-1]["validation_loss"] > 0


def test_an_example_s_every_token_but_the_first_is_a_target_whatever_comes_with_it(base):
    chat = Chat(load_model(str(base)).tokenizer)
    examples = [example(number) for number in range(5)]
    entries = list(encoded(chat, 0.3, 0, examples))
    assert [entry.name for entry in entries] == [e.id for e in examples]
    for entry, one in zip(entries, examples, strict=True):
        (sequence,) = entry.unit
        prompt, answer = chat.prompt_ids(one.messages[:1]), one.messages[1]["content"]
        assert sequence.ids.tolist() == prompt + chat.response_ids(answer)
        assert sequence.num_targets == len(sequence.ids) - 1
        assert entry.is_held_out == held_out(one, 0.3, 0)
