"""Which of stage 1's responses stage 2 imitates: a compact, diverse, hard, high-quality few.

The paper gives no numbers; ours are in `SftSelection`. The choice is made over the annotations
alone, which are small: what is held in memory is some hundred bytes a question, never a text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

import numpy as np

from minireason.curate.ledger import Ledger
from minireason.errors import DataError
from minireason.records import LEVELS, Annotation
from minireason.seeding import derive_seed


@dataclass(frozen=True, slots=True)
class SftSelection:
    """What "compact, diverse, hard, high-quality" means in numbers.

    At most `size` examples, `tokens` response tokens (0: any number) and `per_question` of a
    question. Responses under `min_quality` are dropped, as are those shorter than
    `min_length_share` of the median correct response of their question, which have left the
    reasoning out.
    """

    size: int = 10_000
    tokens: int = 0
    per_question: int = 1
    min_quality: float = 0.5
    min_length_share: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size < 1 or self.per_question < 1 or self.tokens < 0:
            raise DataError(
                f"size is {self.size}, per_question {self.per_question} and tokens {self.tokens}; "
                f"the first two must be 1 or more, tokens 0 or more"
            )


@dataclass(frozen=True, slots=True)
class _Row:
    """A response of stage 1: where it stands there, and what is known of it."""

    place: int
    annotation: Annotation


@dataclass(frozen=True, slots=True)
class _Candidate:
    """The responses of one question that may be taken; small, since there are millions."""

    rate: float
    tie: int
    places: tuple[int, ...]
    num_tokens: tuple[int, ...]


Cell = tuple[str, str]


def select_sft(
    annotations: Iterable[Annotation], selection: SftSelection
) -> tuple[np.ndarray, Ledger]:
    """Which of the rows that stage 1 imitates, in their order, are taken (bool), and the account.

    `annotations` may be a stream over all rollouts, grouped by question. Compact: only the shorter
    half of a question's responses. Hard: within a domain and level, questions with a low pass rate
    come first. Diverse: domains and levels take turns until the size is reached.
    """
    ledger = Ledger()
    cells: dict[Cell, list[_Candidate]] = {}
    for group in _question_groups(annotations):
        ledger.take(len(group), sum(row.annotation.num_tokens for row in group))
        if chosen := _compact(group, selection, ledger):
            first = chosen[0].annotation
            tie = derive_seed(selection.seed, "sft", first.question_id)
            cells.setdefault((first.level, first.domain), []).append(
                _Candidate(
                    first.pass_rate,
                    tie,
                    tuple(row.place for row in chosen),
                    tuple(row.annotation.num_tokens for row in chosen),
                )
            )
    is_taken = np.zeros(ledger.num_in, dtype=bool)
    places = _within_size(_in_turns(cells), selection, ledger)
    is_taken[places] = True
    ledger.close(len(places), "SFT examples")
    return is_taken, ledger


def _question_groups(annotations: Iterable[Annotation]) -> Iterator[list[_Row]]:
    kept = (annotation for annotation in annotations if not annotation.dropped)
    rows = (_Row(place, annotation) for place, annotation in enumerate(kept))
    for _, group in groupby(rows, lambda row: row.annotation.question_id):
        yield list(group)


def _compact(group: Sequence[_Row], selection: SftSelection, ledger: Ledger) -> list[_Row]:
    """Up to `per_question` responses, drawn from the shorter half without the degenerate."""

    def leave_out(reason: str, before: Sequence[_Row], after: Sequence[_Row]) -> None:
        num_tokens = sum(r.annotation.num_tokens for r in before)
        num_tokens -= sum(r.annotation.num_tokens for r in after)
        ledger.drop(reason, len(before) - len(after), num_tokens)

    good = [r for r in group if r.annotation.quality >= selection.min_quality]
    leave_out("of low quality", group, good)
    if not good:
        return []
    least = selection.min_length_share * median(_length(r) for r in good)
    whole = sorted((r for r in good if _length(r) >= least), key=_length)
    leave_out("degenerate: far shorter than the others", good, whole)
    half = whole[: math.ceil(len(whole) / 2)]
    leave_out("in the longer half", whole, half)
    half.sort(key=lambda r: _tie(selection.seed, r.annotation))
    kept = half[: selection.per_question]
    leave_out("over the number a question", half, kept)
    return kept


def _length(row: _Row) -> int:
    return row.annotation.num_characters


def _tie(seed: int, annotation: Annotation) -> int:
    return derive_seed(seed, "sft", annotation.question_id, annotation.index)


def _in_turns(cells: dict[Cell, list[_Candidate]]) -> Iterator[_Candidate]:
    """Cells of (level, domain) take turns, the hardest level first, a question a turn."""
    order = sorted(cells, key=lambda cell: (-_rank(cell[0]), cell))
    queues = [sorted(cells[cell], key=lambda c: (c.rate, c.tie)) for cell in order]
    for turn in range(max(map(len, queues), default=0)):
        for queue in queues:
            if turn < len(queue):
                yield queue[turn]


def _within_size(
    ranked: Iterable[_Candidate], selection: SftSelection, ledger: Ledger
) -> list[int]:
    """The first rows of the ranking, as many as the size in rows and tokens allows."""
    taken: list[int] = []
    budget = selection.tokens or math.inf
    for candidate in ranked:
        for place, num_tokens in zip(candidate.places, candidate.num_tokens, strict=True):
            if len(taken) >= selection.size:
                ledger.drop("over the size", 1, num_tokens)
            elif num_tokens > budget:
                budget = 0.0  # what comes later is easier: a short one must not slip in
                ledger.drop("over the size in tokens", 1, num_tokens)
            else:
                budget -= num_tokens
                taken.append(place)
    return taken


def _rank(level: str) -> int:
    return LEVELS.index(level) if level in LEVELS else -1
