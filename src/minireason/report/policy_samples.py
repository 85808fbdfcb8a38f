"""The responses that RLVR stored while it trained, as many as one page can hold.

Of a step with too many, whole groups are shown. The questions are taken in a shuffled order that is
the same at every step, so a question that comes back can be watched, and rewards play no part.
A long response loses its middle as it is read: all of them in full need not fit into memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from minireason.records import ROW_GROUP, PolicySample, read_records, records_in_parts
from minireason.seeding import derive_seed

FOLDER = Path("rlvr", "samples")
MOST, MOST_PER_STEP = 10_000, 256  # samples on the page
_TEXT = 24_000_000  # characters of responses on the page
_SHORTEST, _LONGEST = 800, 12_000  # characters of a response


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A text without its middle: how it starts, how many characters are left out, how it ends."""

    start: str
    num_left_out: int = 0
    end: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A sample that is on the page; its response is the excerpt, and empty in `sample`."""

    sample: PolicySample
    response: Excerpt


@dataclass(frozen=True, slots=True)
class SampledStep:
    """A step's stored responses: what all of them show, and which of them are on the page.

    `file` is relative to the run folder, `mean_reward` is None where no reward is known, and
    `left_out` counts by question the samples that are not on the page.
    """

    step: int
    file: str
    num_stored: int
    pass_rate: float
    mean_reward: float | None
    mean_tokens: float
    num_learnt: int
    num_truncated: int
    shown: list[Shown]
    left_out: dict[str, int]


def has_samples(run_dir: Path) -> bool:
    """Whether RLVR stored any responses."""
    return any(records_in_parts(file, ROW_GROUP) for file in _files(run_dir))


def sampled_steps(
    run_dir: Path, most: int = MOST, most_per_step: int = MOST_PER_STEP
) -> list[SampledStep]:
    """The steps whose responses were stored, in order; each file holds one step.

    Raises DataError where a file cannot be read.
    """
    files = _files(run_dir)
    room = max(1, min(most_per_step, most // max(1, len(files))))
    sizes = [sum(part.num_records for part in records_in_parts(file, ROW_GROUP)) for file in files]
    limit = response_limit(sum(min(room, size) for size in sizes))
    return [
        _step(stored, file.relative_to(run_dir).as_posix(), room, limit)
        for file in files
        if (stored := read_records(file, PolicySample))
    ]


def response_limit(num_shown: int) -> int:
    """How many characters of a response are shown, so that all of them fit on the page."""
    return max(_SHORTEST, min(_LONGEST, _TEXT // max(1, num_shown)))


def excerpt(text: str, limit: int) -> Excerpt:
    """At most `limit` characters of a text: two thirds from its start, the rest from its end."""
    if len(text) <= limit:
        return Excerpt(text)
    end = limit // 3
    return Excerpt(text[: limit - end], len(text) - limit, text[-end:])


def _files(run_dir: Path) -> list[Path]:
    return sorted((run_dir / FOLDER).glob("*.parquet"))


def _step(stored: Sequence[PolicySample], file: str, room: int, limit: int) -> SampledStep:
    shown, left_out = whole_groups(stored, room)
    rewards = [s.reward for s in stored if s.reward is not None]
    return SampledStep(
        step=stored[0].step,
        file=file,
        num_stored=len(stored),
        pass_rate=fmean(s.verdict == "correct" for s in stored),
        mean_reward=fmean(rewards) if rewards else None,
        mean_tokens=fmean(s.num_tokens for s in stored),
        num_learnt=sum(s.advantage is not None for s in stored),
        num_truncated=sum(s.finish_reason == "length" for s in stored),
        shown=[Shown(replace(s, response=""), excerpt(s.response, limit)) for s in shown],
        left_out=left_out,
    )


def whole_groups(
    stored: Sequence[PolicySample], room: int
) -> tuple[list[PolicySample], dict[str, int]]:
    """At most `room` samples, and of the rest how many by question.

    A group is cut only where even the first of them is larger than the room.
    """
    groups: dict[str, list[PolicySample]] = defaultdict(list)
    for sample in stored:
        groups[sample.question_id].append(sample)
    taken: dict[str, int] = {}
    for name in sorted(groups, key=lambda name: derive_seed("rollouts", name)):
        if len(groups[name]) <= room or not taken:
            taken[name] = min(len(groups[name]), room)
            room -= taken[name]
    shown = [s for name, group in groups.items() for s in group[: taken.get(name, 0)]]
    rest = {name: len(group) - taken.get(name, 0) for name, group in groups.items()}
    return shown, {name: count for name, count in rest.items() if count}
