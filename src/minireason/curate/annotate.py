"""Domain and level of a question: what its source says, else a classifier, else rules.

Differs from the paper, which annotates with language models: these are rules and a linear
classifier, the same every time and free. A domain or level that the source names and no rule knows
is kept as it is. Where the classifier is not sure, words decide the domain and the steps of the
solution the level; without a solution the level stays empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from minireason.curate.classifier import Prediction, carried_classifier
from minireason.curate.rules import domain_by_words, level_by_steps, stated_domain, stated_level
from minireason.records import Question

# Above these the classifier is right more often than the rules on held-out questions of its own
# sources; on other sources the domain still is, the level is a guess by either (docs/data.md).
MIN_DOMAIN_PROBABILITY = 0.4
MIN_LEVEL_PROBABILITY = 0.5

_BATCH = 4096
_UNASKED = Prediction("", 0.0)


def annotate(questions: Iterable[Question]) -> list[Question]:
    """The questions with domain and level in DOMAINS and LEVELS wherever something decides them."""
    return list(iter_annotated(questions))


def iter_annotated(questions: Iterable[Question]) -> Iterator[Question]:
    """What `annotate` gives, a few thousand questions at a time."""
    stream = iter(questions)
    while batch := list(islice(stream, _BATCH)):
        yield from _annotated(batch)


def domain_of(question: Question) -> str:
    """The domain the source names, else the classifier's where it is sure, else by words."""
    return _annotated([question])[0].domain


def level_of(question: Question) -> str:
    """The level the source names, else the classifier's where it is sure, else by the solution."""
    return _annotated([question])[0].level


def _annotated(batch: Sequence[Question]) -> list[Question]:
    stated = [(stated_domain(q.domain), stated_level(q.level)) for q in batch]
    open_ = [i for i, (domain, level) in enumerate(stated) if not (domain and level)]
    texts = [batch[i].text for i in open_]
    predicted = dict(zip(open_, carried_classifier().predict(texts), strict=True)) if open_ else {}
    annotated = []
    for i, (question, (domain, level)) in enumerate(zip(batch, stated, strict=True)):
        by_text, level_by_text = predicted.get(i, (_UNASKED, _UNASKED))
        domain = domain or _domain(question, by_text)
        level = level or _level(question, level_by_text)
        annotated.append(replace(question, domain=domain, level=level))
    return annotated


def _domain(question: Question, predicted: Prediction) -> str:
    if predicted.probability >= MIN_DOMAIN_PROBABILITY:
        return predicted.label
    return domain_by_words(question.text)


def _level(question: Question, predicted: Prediction) -> str:
    if predicted.probability >= MIN_LEVEL_PROBABILITY:
        return predicted.label
    return level_by_steps(question.solution)
