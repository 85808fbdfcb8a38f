"""Questions from the procedural families, and the problem behind a question's id.

An id such as `procedural:linear_equation:middle:3,4,0,19:2` holds the family, the level, the
parameters and the phrasing; `:c17` at the end makes it the multiple-choice version of seed 17.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from minireason.errors import DataError
from minireason.problems.choice import LETTERS, as_choice, near_miss
from minireason.problems.families import FAMILIES
from minireason.problems.family import Family, Problem, Split, split_of
from minireason.problems.scratch import STYLES, DerailedError, Scratch
from minireason.records import LEVELS, Question
from minireason.seeding import derive_seed

SOURCE = "procedural"
SHARE_CHECKED = 0.12
SHARE_CORRECTED = 0.08
_STYLE_WEIGHTS = (3, 4, 3)
_DRAWS = 2000
_SLIPS = 40


def generate_questions(
    num: int,
    seed: int,
    split: Split,
    levels: Sequence[str] = LEVELS,
    families: Sequence[str] | None = None,
    choice_fraction: float = 0.15,
) -> list[Question]:
    """`num` questions, balanced over the levels and over the families within each level.

    No identity comes twice in the same phrasing. Raises DataError for an unknown level, family
    or split, and where the families do not hold so many questions.
    """
    _require("split", [split], ("train", "eval"))
    _require("level", levels, LEVELS)
    _require("family", families or (), tuple(FAMILIES))
    rng = Random(derive_seed(SOURCE, seed, split))
    seen: set[tuple[str, str]] = set()
    streams = [_stream(rng, level, split, families, seen) for level in levels]
    questions = []
    for index in range(num):
        stream = streams[index % len(streams)]
        problem = next(stream, None)
        if problem is None:
            raise DataError(
                f"asked for {num} questions, but {levels[index % len(levels)]!r} holds no more in "
                f"the {split} split after {index}; ask for fewer, or allow more families"
            )
        is_choice = rng.random() < choice_fraction
        questions.append(
            question_of(as_choice(problem, rng.randrange(1000)) if is_choice else problem)
        )
    rng.shuffle(questions)
    return questions


def _require(what: str, given: Sequence[str], allowed: Sequence[str]) -> None:
    for name in given:
        if name not in allowed:
            raise DataError(f"unknown {what} {name!r}; allowed: {', '.join(allowed)}")


def _stream(
    rng: Random,
    level: str,
    split: Split,
    families: Sequence[str] | None,
    seen: set[tuple[str, str]],
) -> Iterator[Problem]:
    """New problems of a level, each family in turn, until every family is used up."""
    offering = [
        f
        for f in FAMILIES.values()
        if level in f.levels and (families is None or f.name in families)
    ]
    while offering:
        for family in rng.sample(offering, len(offering)):
            problem = _draw_new(rng, family, level, split, seen)
            if problem is None:
                offering.remove(family)
            else:
                yield problem


def _draw_new(
    rng: Random, family: Family, level: str, split: Split, seen: set[tuple[str, str]]
) -> Problem | None:
    for _ in range(_DRAWS):
        params = family.draws[level](rng)
        identity = family.identity(params)
        if split_of(identity) != split or not family.fits(level, params):
            continue
        phrasings = family.phrase(params)
        phrasing = rng.randrange(len(phrasings))
        if (identity, phrasings[phrasing]) not in seen:
            seen.add((identity, phrasings[phrasing]))
            return family.build(level, params, phrasing)
    return None


def question_of(problem: Problem) -> Question:
    """The problem as a question."""
    return Question(
        id=problem.id,
        text=problem.text,
        answer=problem.answer,
        source=SOURCE,
        domain=problem.domain,
        level=problem.level,
        answer_kind=problem.answer_kind,
    )


def problem_of(question_id: str) -> Problem:
    """The problem behind a procedural question's id; raises DataError for any other id."""
    parts = question_id.split(":")
    try:
        source, name, level, numbers, phrasing, *choice = parts
        if source != SOURCE or len(choice) > 1 or (choice and choice[0][:1] != "c"):
            raise ValueError(question_id)
        params = tuple(map(int, numbers.split(",")))
        problem = FAMILIES[name].build(level, params, int(phrasing))
        return as_choice(problem, int(choice[0][1:])) if choice else problem
    except (ValueError, KeyError, IndexError, ArithmeticError, DerailedError) as error:
        raise DataError(
            f"{question_id!r} is not the id of a procedural question; "
            "expected procedural:<family>:<level>:<numbers>:<phrasing>, then :c<seed> for a choice"
        ) from error


def worked_solution(
    question_id: str, rng: Random, *, is_correct: bool, style: str | None = None
) -> str:
    """A worked solution; a wrong one goes wrong in one step and ends in another answer.

    `style` is one of STYLES, drawn where None. Some correct ones re-verify a step, or get one
    wrong, notice and put it right.
    """
    problem = problem_of(question_id)
    style = rng.choices(STYLES, _STYLE_WEIGHTS)[0] if style is None else style
    _require("style", [style], STYLES)
    counter = Scratch(Random(0), style)
    problem.work(counter)
    if is_correct:
        at, kind = rng.randrange(counter.num_facts), rng.random()
        fix_at = at if kind < SHARE_CORRECTED else None
        check_at = at if SHARE_CORRECTED <= kind < SHARE_CORRECTED + SHARE_CHECKED else None
        return problem.solve(Scratch(rng, style, fix_at=fix_at, check_at=check_at))
    for _ in range(_SLIPS):
        scratch = Scratch(rng, style, slip_at=rng.randrange(counter.num_facts))
        try:
            answer = problem.work(scratch)
        except DerailedError:
            continue
        if answer != problem.answer:
            return scratch.finish(answer)
    scratch = Scratch(rng, style)
    problem.work(scratch)
    return scratch.finish(_wrong(problem, rng))


def _wrong(problem: Problem, rng: Random) -> str:
    if problem.answer_kind == "choice":
        return rng.choice(LETTERS.replace(problem.answer, ""))
    return near_miss(problem.answer, rng)


def bare_answer(question_id: str) -> str:
    """The answer line alone, without any work."""
    return f"The answer is \\boxed{{{problem_of(question_id).answer}}}."
