"""The tiny base model: pre-trained on arithmetic facts and questions with a bare answer.

It is weak on purpose, as a base model is: it knows small facts and the form of an answer, and
cannot reason in steps. Only training-split questions are used.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import torch

from minireason.messages import assistant_message, prompt_messages
from minireason.model.chat import Chat
from minireason.model.load import LanguageModel, choose_device
from minireason.model.threads import use_threads
from minireason.model.tiny import build_model, build_tokenizer
from minireason.problems.facts import fact_text, tokenizer_corpus
from minireason.problems.procedural import bare_answer
from minireason.records import Question, read_records
from minireason.seeding import derive_seed
from minireason.step import Counts, StepContext
from minireason.train.data import PackedData
from minireason.train.objectives.next_token import next_token
from minireason.train.packing import TokenSequence, Unit
from minireason.workbench import conversation, fit, layout

TOKENIZER_TEXTS = 20_000


def pretrain(step: StepContext) -> Counts:
    """Build the tokenizer and the model, and train the model from random weights."""
    run, settings = step.recipe.run, step.recipe.pretrain
    use_threads(run.threads)
    corpus = tokenizer_corpus(TOKENIZER_TEXTS, derive_seed(run.seed, "tokenizer"))
    tokenizer = build_tokenizer(corpus)
    model = build_model(len(tokenizer), derive_seed(run.seed, "weights"))
    model.to(torch.device(choose_device(run.device)))  # type: ignore[arg-type]
    language_model = LanguageModel(model, tokenizer)
    chat = Chat(tokenizer)
    model.generation_config.eos_token_id = sorted(chat.stop_ids)  # so that others stop there too
    questions = read_records(step.inputs["questions"], Question)
    units = texts(chat, questions, settings.num_texts, settings.facts_fraction, run.seed)
    data = PackedData(units, layout(settings), run.seed)
    fit(step, language_model, data, next_token, settings.learning_rate)
    return {"in": len(units), "out": len(units)}


def texts(
    chat: Chat, questions: Sequence[Question], count: int, facts_fraction: float, seed: int
) -> list[Unit]:
    """`count` texts: facts, and questions with a bare answer, each taken in turn."""
    rng = random.Random(derive_seed(seed, "pretrain"))
    end = chat.tokenizer.eos_token_id
    units: list[Unit] = []
    for number in range(count):
        if rng.random() < facts_fraction:
            ids = [end, *chat.tokenizer.encode(fact_text(rng), add_special_tokens=False), end]
            sequence = TokenSequence(ids, num_targets=len(ids) - 1)
        else:
            question = questions[number % len(questions)]
            answer = assistant_message(bare_answer(question.id))
            sequence = conversation(chat, [*prompt_messages(question), answer])
            sequence = replace(sequence, num_targets=len(sequence.ids) - 1)
        units.append([sequence])
    return units
