"""A problem, and a family that supplies endless problems of one kind."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from minireason.errors import DataError
from minireason.problems.notation import kind_of
from minireason.problems.scratch import DerailedError, Scratch
from minireason.records import AnswerKind

Params = tuple[int, ...]
Split = Literal["train", "eval"]
EVAL_SHARE = 8
NUM_FACTS = {
    "elementary": (1, 2),
    "middle": (2, 5),
    "high": (3, 7),
    "college": (4, 10),
    "graduate": (6, 13),
}
"""What makes a level: the fewest and the most facts that its solutions take."""


@dataclass(frozen=True)
class Problem:
    """One question with its answer and the work that leads there.

    `identity` is the family and its parameters, without phrasing and level: it decides the split.
    `work` writes the steps on a scratch and returns the answer that they lead to.
    """

    id: str
    family: str
    level: str
    domain: str
    identity: str
    text: str
    answer: str
    answer_kind: AnswerKind
    work: Callable[[Scratch], str] = field(compare=False, repr=False)

    def solve(self, scratch: Scratch) -> str:
        """The whole solution, as the scratch's style and slips make it."""
        return scratch.finish(self.work(scratch))


@dataclass(frozen=True)
class Family:
    """Problems of one kind: how to draw parameters at a level, phrase them and work them out.

    `phrase` gives at least three phrasings; `draws` has one drawer of parameters a level, and
    what it draws counts only where `fits` says that the solution is of that level. `canonical`
    gives what decides the identity, so that two questions on one equation fall in one split.
    """

    name: str
    domain: str
    draws: Mapping[str, Callable[[Random], Params]]
    phrase: Callable[[Params], tuple[str, ...]]
    work: Callable[[Params, Scratch], str]
    canonical: Callable[[Params], Params] = tuple

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels it offers."""
        return tuple(self.draws)

    def identity(self, params: Params) -> str:
        """The canonical name of the problem, whatever its phrasing and level."""
        return f"{self.name}:{','.join(map(str, self.canonical(params)))}"

    def fits(self, level: str, params: Params) -> bool:
        """Whether the solution has the level's number of facts and each of them is an atom."""
        scratch = Scratch(Random(0), "terse")
        try:
            self.work(params, scratch)
        except DerailedError:
            return False
        fewest, most = NUM_FACTS[level]
        return fewest <= scratch.num_facts <= most and scratch.is_within_atoms

    def sample(self, rng: Random, level: str) -> Problem:
        """A random problem of a level."""
        params = self.draws[level](rng)
        while not self.fits(level, params):
            params = self.draws[level](rng)
        return self.build(level, params, rng.randrange(len(self.phrase(params))))

    def build(self, level: str, params: Params, phrasing: int) -> Problem:
        """The problem with these parameters; raises DataError where the family has no such one."""
        phrasings = self.phrase(params)
        if level not in self.draws or not 0 <= phrasing < len(phrasings):
            raise DataError(
                f"{self.name} has no level {level!r} with phrasing {phrasing}; "
                f"levels: {', '.join(self.levels)}; phrasings: 0-{len(phrasings) - 1}"
            )

        def work(scratch: Scratch) -> str:
            return self.work(params, scratch)

        numbers = ",".join(map(str, params))
        answer = work(Scratch(Random(0), "terse"))
        return Problem(
            id=f"procedural:{self.name}:{level}:{numbers}:{phrasing}",
            family=self.name,
            level=level,
            domain=self.domain,
            identity=self.identity(params),
            text=phrasings[phrasing],
            answer=answer,
            answer_kind=kind_of(answer),
            work=work,
        )


def split_of(identity: str) -> Split:
    """The split of a problem: one identity in eight is for evaluation, chosen by its hash."""
    digest = hashlib.sha256(identity.encode()).digest()
    return "eval" if digest[0] % EVAL_SHARE == 0 else "train"
