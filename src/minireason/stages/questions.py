"""Questions: read or generate them, drop repeats and whatever a benchmark asks too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from minireason.curate.annotate import annotate
from minireason.curate.decontaminate import Contaminated, decontaminate
from minireason.curate.deduplicate import deduplicate_questions
from minireason.errors import DataError
from minireason.evaluate.benchmarks import benchmark_questions
from minireason.problems.procedural import generate_questions
from minireason.problems.rows import QuestionColumns
from minireason.problems.sources import load_questions
from minireason.recipe import Recipe
from minireason.records import Question, write_records
from minireason.seeding import derive_seed
from minireason.step import Counts, StepContext


def questions(step: StepContext) -> Counts:
    """Write the training questions to `part-00000.parquet`, the dropped to `contaminated.jsonl`."""
    recipe = step.recipe
    bad_rows: list[DataError] = []
    found = [
        question
        for source in recipe.questions.sources
        for question in training_questions(recipe, source, bad_rows)
    ]
    unique, repeats = deduplicate_questions(found)
    evaluation = [
        question
        for name in recipe.evaluate.benchmarks
        for question in benchmark_questions(name, recipe.evaluate.limit, recipe.evaluate.seed)
    ]
    kept, dropped, overlaps = decontaminate(
        unique, evaluation, ngram=8, min_overlap=recipe.questions.overlap
    )
    write_records(step.folder / "part-00000.parquet", annotate(kept), Question)
    write_contaminated(step.folder / "contaminated.jsonl", dropped, unique, evaluation)
    return {
        **repeats.as_dict(),
        **overlaps.as_dict(),
        "in": len(found) + len(bad_rows),
        "dropped: unreadable row": len(bad_rows),
        "out": len(kept),
    }


def write_contaminated(
    path: Path,
    dropped: Sequence[Contaminated],
    questions: Sequence[Question],
    evaluation: Sequence[Question],
) -> None:
    """One line for each question that a benchmark asks too: both texts, the rule and how near."""
    asked, tested = ({q.id: q.text for q in group} for group in (questions, evaluation))
    rows = [
        asdict(d) | {"question": asked[d.question_id], "evaluation": tested[d.evaluation_id]}
        for d in dropped
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def training_questions(recipe: Recipe, source: str, bad_rows: list[DataError]) -> list[Question]:
    """The training questions of one source: generated, or read, with its bad rows if allowed."""
    settings, seed = recipe.questions, derive_seed(recipe.run.seed, "questions")
    if source == "procedural":
        return generate_questions(
            settings.limit,
            seed,
            "train",
            levels=settings.levels,
            choice_fraction=settings.choice_fraction,
        )
    columns = QuestionColumns(
        question=settings.question_column,
        answer=settings.answer_column,
        solution=settings.solution_column,
    )
    return load_questions(
        source,
        limit=settings.limit or None,
        split=settings.split,
        columns=columns,
        seed=seed,
        on_bad_row=bad_rows.append if settings.bad_rows == "drop" else None,
    )
