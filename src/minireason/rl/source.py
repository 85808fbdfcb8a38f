"""The data of RLVR's steps: groups sampled from the policy, and what is learnt from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minireason.recipe.reinforcement import Rlvr
from minireason.records import Group, Prompt
from minireason.rl.algorithms import ALGORITHMS
from minireason.rl.comparison import with_importance, with_reference
from minireason.rl.critic import Critic
from minireason.rl.groups import GroupSampler, Referee
from minireason.rl.history import History
from minireason.rl.lessons import Lesson, choose, units_of
from minireason.rl.metrics import group_metrics
from minireason.rl.samples import policy_samples, write_samples
from minireason.rl.stream import Batch, RolloutStream, Source
from minireason.rollout.buffer import RolloutBuffer
from minireason.rollout.request import Sampler
from minireason.seeding import derive_seed
from minireason.train.data import Step, StepSource, make_updates
from minireason.train.learner import Learner
from minireason.train.packing import MicroBatch, TokenSequence, Unit, collate
from minireason.train.schedule import annealed_temperature


@dataclass(frozen=True, slots=True)
class Policy:
    """What samples, and who says what a response is worth.

    `is_exact`: the samplers' log-probabilities are those of the trainer, to rounding.
    """

    sources: Sequence[Source]
    referee: Referee
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class Others:
    """Models beside the policy: the reference of the KL penalty, and PPO's critic."""

    reference: Any = None
    critic: Critic | None = None


class RolloutSource(StepSource):
    """Samples a step's groups, chooses what to learn from, and lays it out in micro-batches."""

    def __init__(
        self,
        learner: Learner,
        policy: Policy,
        prompts: Sequence[Prompt],
        settings: Rlvr,
        folder: Path,
        others: Others | None = None,
    ) -> None:
        self.learner, self.policy, self.settings, self.folder = learner, policy, settings, folder
        self.world, self.referee = learner.world, policy.referee
        self.seed = derive_seed(learner.settings.seed, "rlvr", settings.seed)
        self.prompts = {prompt.question_id: prompt for prompt in prompts}
        self.others = others or Others()
        if self.others.critic:
            self.companions = {"critic": self.others.critic.learner}
        self.algorithm = ALGORITHMS[settings.algorithm]
        self.history = History()
        self.num_generated = 0
        self.num_steps = settings.num_steps
        self.stream = RolloutStream(
            learner,
            policy.sources,
            self._plan,
            RolloutBuffer(folder / "buffer"),
            settings.num_steps,
            settings.staleness,
        )

    def step(self, number: int) -> Step:
        """Sample, or take what was sampled ahead; choose what to learn from, and lay it out."""
        batch, settings = self.stream.take(number), self.settings
        groups, temperature = batch.groups, batch.sampled_by.temperature
        seed = derive_seed(self.seed, "rlvr", "balance", number)
        lessons = choose(groups, self.algorithm, settings, seed)
        units = units_of(groups, lessons, self.algorithm)
        metrics = {"temperature": temperature, **group_metrics(groups, self.referee.reward_names)}
        metrics |= {"num_kept": float(len(units)), "staleness": float(batch.sampled_by.lag)}
        if self.others.critic and units:
            units = self.others.critic.assess(units, [lesson.reward for lesson in lessons])
            metrics |= self.others.critic.learn(units)
        self._remember(groups)
        if (number + 1) % settings.samples_every == 0 and self.world.is_main:
            self._keep(number + 1, batch, lessons, units)
        updates = make_updates(
            units, settings.updates_per_step, settings.micro_batch_size, self.world
        )
        if self.others.reference is not None:
            updates = with_reference(updates, temperature, self.others.reference)
        if settings.importance_cap and (batch.sampled_by.lag or not self.policy.is_exact):
            updates, off = with_importance(
                updates, temperature, self.learner, settings.importance_cap
            )
            metrics |= off
        return Step(updates, temperature, metrics, batch.timing())

    def largest(self) -> MicroBatch:
        """Rows as long as the longest prompt and response allow, twice."""
        settings, chat = self.settings, self.referee.chat
        prompt = max(len(chat.prompt_ids(prompt.prompt)) for prompt in self.prompts.values())
        length = min(prompt + settings.max_tokens, self.policy.sources[0].sampler.max_length)
        unit = [TokenSequence([0] * length, num_targets=min(settings.max_tokens, length - 1))]
        return collate([[unit, unit]] * settings.micro_batch_size)

    def progress(self, done: int) -> float:
        """The share of the steps, or of the token budget where that is more."""
        budget = self.settings.token_budget
        return max(done / self.num_steps, self.num_generated / budget if budget else 0.0)

    def files(self) -> dict[str, Path]:
        """What was sampled ahead."""
        return self.stream.files()

    def state_dict(self) -> dict[str, Any]:
        return {"num_generated": self.num_generated, "history": self.history.state_dict()}

    def load_state_dict(self, state: dict[str, Any], files: Mapping[str, Path]) -> None:
        self.num_generated = state.get("num_generated", 0)
        self.history.load_state_dict(state.get("history", {}))
        self.stream.load_files(files)

    def close(self) -> None:
        """Wait for what is being sampled, and sample no more."""
        self.stream.close()

    def _plan(self, number: int, sampler: Sampler) -> tuple[float, Callable[[], list[Group]]]:
        """How step `number` is to be sampled, by what is known before it."""
        settings = self.settings
        temperature = annealed_temperature(
            self.position(number),
            self.num_steps,
            settings.temperature_start,
            settings.temperature_end,
            settings.anneal_fraction,
        )
        allowed = self._allowed()
        groups = GroupSampler(sampler, self.referee, settings, self.seed, self.stream.world)
        num_refills = settings.refill_rounds if self.algorithm.refills else 0

        def teaches(group: Group) -> bool:
            return bool(choose([group], self.algorithm, settings, seed=0))

        return temperature, lambda: groups.sample(
            number, temperature, allowed, num_refills, teaches
        )

    def _allowed(self) -> list[Prompt]:
        """The prompts to draw from: without those that have become too easy, if any is left."""
        every = list(self.prompts.values())
        if not self.algorithm.keeps_history:
            return every
        return [p for p in every if not self.history.is_too_easy(p.question_id)] or every

    def _remember(self, groups: Sequence[Group]) -> None:
        for group in groups:
            self.num_generated += sum(map(len, group.response_ids))
            if "unknown" not in group.verdicts:
                right = [1.0 if verdict == "correct" else -1.0 for verdict in group.verdicts]
                self.history.record(group.question_id, right)

    def _keep(
        self, number: int, batch: Batch, lessons: Sequence[Lesson], units: Sequence[Unit]
    ) -> None:
        """Write the samples of a step, counted from 1, with the advantages they got."""
        learnt = {
            (lesson.group, lesson.index): float(np.mean(sequence.values["advantages"]))
            for lesson, (sequence,) in zip(lessons, units, strict=True)
        }
        samples = policy_samples(number, batch, learnt, self.prompts, self.referee)
        write_samples(self.folder / "samples", list(samples))
