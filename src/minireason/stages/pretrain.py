"""The tiny base model: pre-trained on arithmetic facts and on questions without any work.

It is weak on purpose, as a base model is: it knows small facts, can read a question and knows the
form of an answer, and cannot reason in steps. Only training-split questions are used.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch

from minireason.messages import assistant_message
from minireason.model.chat import Chat
from minireason.model.load import LanguageModel, choose_device
from minireason.model.precision import compute_in_bfloat16
from minireason.model.threads import use_threads
from minireason.model.tiny import build_model, build_tokenizer
from minireason.problems import pretraining
from minireason.problems.facts import tokenizer_corpus
from minireason.records import Question, read_records
from minireason.seeding import derive_seed
from minireason.step import Counts, StepContext
from minireason.train.data import PackedData
from minireason.train.objectives.next_token import NextToken
from minireason.train.packing import TokenSequence, Unit
from minireason.workbench import conversation, fit, layout, open_learner

TOKENIZER_TEXTS = 20_000


def pretrain(step: StepContext) -> Counts:
    """Build the tokenizer and the model, and train the model from random weights."""
    run, settings = step.recipe.run, step.recipe.pretrain
    use_threads(run.threads)
    corpus = tokenizer_corpus(TOKENIZER_TEXTS, derive_seed(run.seed, "tokenizer"))
    tokenizer = build_tokenizer(corpus)
    model = build_model(len(tokenizer), derive_seed(run.seed, "weights"))
    model.to(torch.device(choose_device(run.device)))  # type: ignore[arg-type]
    if run.dtype == "bfloat16":
        compute_in_bfloat16(model)
    language_model = LanguageModel(model, tokenizer)
    chat = Chat(tokenizer)
    questions = read_records(step.inputs["questions"], Question)
    units = texts(chat, questions, settings.num_texts, settings.facts_fraction, run.seed)
    data = PackedData(units, layout(settings), run.seed, step.world)
    learner = open_learner(step, language_model, settings.learning_rate)
    fit(step, learner, language_model, data, NextToken())
    return {"in": len(units), "out": len(units)}


def texts(
    chat: Chat, questions: Sequence[Question], count: int, facts_fraction: float, seed: int
) -> list[Unit]:
    """`count` texts: facts, and questions to read or with a bare answer, each taken in turn."""
    rng = random.Random(derive_seed(seed, "pretrain"))
    end = chat.tokenizer.eos_token_id
    units: list[Unit] = []
    for number in range(count):
        if rng.random() < facts_fraction:
            text = pretraining.facts(rng)
        else:
            text = pretraining.questions(questions[number % len(questions)], rng)
        if text.prompt:
            asked = {"role": "user", "content": text.prompt}
            ids = conversation(chat, [asked, assistant_message(text.text)]).ids
        else:
            ids = [end, *chat.tokenizer.encode(text.text, add_special_tokens=False), end]
        units.append([TokenSequence(ids, num_targets=len(ids) - 1)])
    return units
