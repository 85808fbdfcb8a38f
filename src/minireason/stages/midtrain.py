"""Stage 1, distillation as mid-training: next-token training on every verified-correct rollout.

Paper: packed to 16K, batch 128, learning rate 1e-5, 10 % warm-up, 5 epochs, until validation
saturates. The loss is on all tokens, question and response.

1. Packed examples do not see each other.
2. Saturation is measured on held-out questions: training stops after `patience` measurements
   without improvement and keeps the best weights. The learning rate falls as if it went to the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from minireason.model.chat import Chat
from minireason.recipe import Midtrain
from minireason.records import Example, read_records
from minireason.seeding import derive_seed
from minireason.step import Counts, StepContext
from minireason.train.data import PackedData, within_length
from minireason.train.objectives.next_token import NextToken
from minireason.train.packing import Unit
from minireason.train.validation import Saturation, Validation
from minireason.workbench import conversation, fit, layout, open_learner, open_model


def midtrain(step: StepContext) -> Counts:
    """Train the base model on the curated mid-training set."""
    settings = step.recipe.midtrain
    language_model = open_model(step, step.recipe.lora.base_bits)
    chat = Chat(language_model.tokenizer)
    examples = read_records(step.inputs["data"] / "midtrain", Example)
    seed = step.recipe.run.seed
    units: list[Unit] = []
    is_held_out = []
    for example in examples:
        sequence = conversation(chat, example.messages)
        units.append([replace(sequence, num_targets=len(sequence.ids) - 1)])
        is_held_out.append(held_out(example, settings.validation_share, seed))
    fitting, dropped = within_length(
        units, [e.id for e in examples], settings.seq_length, settings.overlong
    )
    kept = [units[i] for i in fitting if not is_held_out[i]]
    validating = [units[i] for i in fitting if is_held_out[i]]
    data = PackedData(kept, layout(settings), seed, step.world)
    learner = open_learner(step, language_model, settings.learning_rate)
    validation = watched(validating, settings) if validating else None
    fit(step, learner, language_model, data, NextToken(), validation)
    counts = {"in": len(units), "out": len(kept), "dropped: overlong": dropped}
    return counts | ({"dropped: held out": len(validating)} if validating else {})


def held_out(example: Example, share: float, seed: int) -> bool:
    """Whether an example is held out: all examples of a question are, or none."""
    question = "\n".join(message["content"] for message in example.messages[:-1])
    return derive_seed(seed, "held out", question) < share * 2**63


def watched(units: Sequence[Unit], settings: Midtrain) -> Validation:
    """The held-out examples, and when they say that training is over."""
    saturation = Saturation(settings.validate_every, settings.patience, settings.min_delta)
    return Validation.of(units, settings.seq_length, settings.micro_batch_size, saturation)
