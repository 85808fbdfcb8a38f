"""What is learnt from a step's groups: which responses, and what advantage each has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, groupby

from minireason.recipe.reinforcement import Rlvr
from minireason.records import Group
from minireason.rl.algorithm import Algorithm
from minireason.rl.groups import has_signal
from minireason.rl.rebalance import balance
from minireason.seeding import derive_seed
from minireason.train.packing import TokenSequence, Unit


@dataclass(frozen=True, slots=True)
class Lesson:
    """A response to learn from: number `index` of the step's group `group`, and its reward."""

    group: int
    index: int
    reward: float


def choose(
    groups: Sequence[Group], algorithm: Algorithm, settings: Rlvr, seed: int
) -> list[Lesson]:
    """The responses to learn from, group after group.

    What could not be judged is neither rewarded nor punished. `seed` is the step's.
    """
    chosen: list[Lesson] = []
    for number, group in enumerate(groups):
        judged = [
            Lesson(number, i, reward)
            for i, reward in enumerate(group.rewards)
            if reward is not None and group.verdicts[i] != "unknown"
        ]
        if settings.rebalance:
            is_positive = [group.verdicts[lesson.index] == "correct" for lesson in judged]
            drawn = derive_seed(seed, "balance", number)
            kept = balance(is_positive, settings.easy_pass_rate, drawn)
            judged = [judged[i] for i in kept]
        elif not algorithm.needs_critic and not has_signal(group):
            judged = []
        chosen += judged
    return chosen


def units_of(
    groups: Sequence[Group], lessons: Sequence[Lesson], algorithm: Algorithm
) -> list[Unit]:
    """Each lesson as prompt and response in one sequence, the response its targets.

    Its values are `old_logprobs`, those of the sampler, and `advantages`, unless a critic's values
    are to make them.
    """
    together = [list(of_group) for _, of_group in groupby(lessons, lambda lesson: lesson.group)]
    found: list[float] = []
    if not algorithm.needs_critic:
        rewards = [[lesson.reward for lesson in of_group] for of_group in together]
        found = list(chain.from_iterable(algorithm.advantages(rewards)))
    units: list[Unit] = []
    for number, lesson in enumerate(lessons):
        group = groups[lesson.group]
        ids, logprobs = group.response_ids[lesson.index], group.logprobs[lesson.index]
        values: dict[str, Sequence[float] | float] = {"old_logprobs": logprobs}
        if found:
            values["advantages"] = found[number]
        units.append([TokenSequence([*group.prompt_ids, *ids], len(ids), values)])
    return units
