"""Questions: read or generate them, drop repeats and whatever a benchmark asks too.

One question at a time, so that memory grows by some hundred bytes a question and by no texts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain, islice
from pathlib import Path

from minireason.curate.annotate import iter_annotated
from minireason.curate.annotator import Annotator
from minireason.curate.decontaminate import ContaminationIndex
from minireason.curate.deduplicate import SeenQuestions
from minireason.curate.ledger import Ledger
from minireason.curate.near_duplicates import NearDuplicateIndex
from minireason.endpoint.server import Endpoint
from minireason.errors import DataError
from minireason.evaluate.benchmarks import benchmark_questions
from minireason.problems.procedural import generate_questions
from minireason.problems.rows import QuestionColumns
from minireason.problems.sources import iter_questions
from minireason.recipe import Recipe
from minireason.records import Question, write_records
from minireason.seeding import derive_seed
from minireason.step import Counts, StepContext
from minireason.verify.judge import KEY_ENV

SHARD_SIZE = 10_000


def questions(step: StepContext) -> Counts:
    """Write shards of training questions; `contaminated.jsonl` lists what a benchmark asks too."""
    ledger = Ledger()
    found = chain.from_iterable(
        training_questions(step.recipe, source, ledger) for source in step.recipe.questions.sources
    )
    unique = _unique(found, step.recipe.questions.near_duplicates, ledger)
    kept = _annotated(step, _uncontaminated(step, unique, ledger))
    num_kept = 0
    with step.progress.track("questions") as advance:
        for number, first in enumerate(kept):
            shard = chain([first], islice(kept, SHARD_SIZE - 1))
            num_kept += write_records(step.folder / f"part-{number:05d}.parquet", shard, Question)
            advance(num_kept, 0, f"of {ledger.num_in:,}")
    ledger.close(num_kept, "training questions")
    return ledger.as_dict()


def training_questions(recipe: Recipe, source: str, ledger: Ledger) -> Iterator[Question]:
    """The training questions of one source: generated, or read, with its bad rows if allowed."""
    settings, seed = recipe.questions, derive_seed(recipe.run.seed, "questions")
    if source == "procedural":
        yield from generate_questions(
            settings.limit,
            seed,
            "train",
            levels=settings.levels,
            choice_fraction=settings.choice_fraction,
        )
        return

    def leave_out(error: DataError) -> None:
        ledger.take()
        ledger.drop("unreadable row")

    columns = QuestionColumns(
        question=settings.question_column,
        answer=settings.answer_column,
        solution=settings.solution_column,
    )
    yield from iter_questions(
        source,
        limit=settings.limit or None,
        split=settings.split,
        columns=columns,
        seed=seed,
        on_bad_row=leave_out if settings.bad_rows == "drop" else None,
    )


def _unique(found: Iterable[Question], min_jaccard: float, ledger: Ledger) -> Iterator[Question]:
    """The first of each group of questions that are equal, or nearly so."""
    seen, ids = SeenQuestions(), set[int]()
    near = NearDuplicateIndex(min_jaccard) if min_jaccard else None
    for question in found:
        ledger.take()
        if reason := seen.repeats(question):
            ledger.drop(reason)
        elif near is not None and near.find_or_add(question.id, question.text, question.answer):
            ledger.drop("nearly a duplicate question")
        elif (key := derive_seed(question.id)) in ids:
            raise DataError(f"id {question.id!r} is in two sources; ids must be unique in a run")
        else:
            ids.add(key)
            yield question


def _uncontaminated(
    step: StepContext, found: Iterable[Question], ledger: Ledger
) -> Iterator[Question]:
    """The questions that no benchmark asks; the others are listed with what they overlap."""
    settings = step.recipe.evaluate
    evaluation = [
        question
        for name in settings.benchmarks
        for question in benchmark_questions(name, settings.limit, settings.seed)
    ]
    index = ContaminationIndex(evaluation, min_overlap=step.recipe.questions.overlap)
    listing = step.folder / "contaminated.jsonl"
    partial = Path(f"{listing}.partial")
    with partial.open("w", encoding="utf-8") as lines:
        for question in found:
            if contaminated := index.find(question):
                ledger.drop(contaminated.reason)
                lines.write(json.dumps(asdict(contaminated)) + "\n")
            else:
                yield question
    partial.replace(listing)


def _annotated(step: StepContext, found: Iterator[Question]) -> Iterator[Question]:
    """With domain and level: the source's, else a model's where one is set, else a classifier's."""
    judge, asking = step.recipe.judge, step.recipe.rollout
    if model := step.recipe.questions.annotator:
        endpoint = Endpoint(
            judge.base_url,
            model,
            KEY_ENV,
            concurrency=asking.concurrency,
            timeout_s=asking.timeout_s,
        )
        found = Annotator(endpoint, step.folder / "annotator.jsonl").annotate(found)
    return iter_annotated(found)
