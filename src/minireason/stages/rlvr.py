"""Stage 4, reinforcement learning with verifiable reward: GRPO, +1 for a correct answer, -1
otherwise.

Paper: learning rate 5e-7, 25K tokens, with three fixes: prompt optimisation (`curate/prompts.py`),
reward rebalancing (`train/rebalance.py`), temperature annealing (`train/schedule.py`).

1. A response whose answer cannot be read (verdict unknown) is neither rewarded nor punished: it
   leaves its group.
2. Log-probabilities are taken at the sampling temperature, so the first update of a step is
   exactly on-policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from minireason.curate.judged import judged_groups
from minireason.curate.prompts import PromptSelection, select_prompts
from minireason.model.adapters import base_alone, is_adapted
from minireason.records import (
    Group,
    Prompt,
    Question,
    Refused,
    iter_records,
    read_records,
    write_records,
)
from minireason.rl.advantages import group_advantages
from minireason.rl.rebalance import balance, draw_prompts, informative
from minireason.rollout.buffer import RolloutBuffer, weights_identity
from minireason.rollout.crew import even_parts, lead
from minireason.rollout.policy import PolicyTeacher
from minireason.rollout.request import Request
from minireason.rollout.sampling import SamplingParams
from minireason.seeding import derive_seed
from minireason.step import Counts, StepContext
from minireason.train.data import Step, Update, make_update
from minireason.train.forward import score_units
from minireason.train.learner import Learner
from minireason.train.objectives.grpo import Grpo
from minireason.train.packing import MicroBatch, TokenSequence, Unit, collate, pack, unit_length
from minireason.train.schedule import annealed_temperature
from minireason.verify.rollouts import reference
from minireason.verify.verifier import Verifier, open_verifier
from minireason.workbench import (
    adapt,
    fit,
    judged_rollouts,
    open_learner,
    open_model,
    open_policy,
    seeded_part,
)

REWARDS = {"correct": 1.0, "incorrect": -1.0}


def prompts(step: StepContext) -> Counts:
    """Prompt optimisation: trial rollouts of the stage-3 model decide which prompts are used."""
    policy = open_policy(step.recipe, open_model(step), "trial")
    return lead(step.world, policy, lambda: try_prompts(step, policy))


def try_prompts(step: StepContext, policy: PolicyTeacher) -> Counts:
    """Write `prompts.parquet` (Prompt) and `refused.parquet` (Refused)."""
    settings, sampling = step.recipe.rlvr, step.recipe.evaluate
    questions = iter_records(step.inputs["questions"], Question)
    seed = derive_seed(step.recipe.run.seed, "prompts")
    candidates = seeded_part(questions, settings.num_candidates, seed)
    params = SamplingParams(
        temperature=settings.temperature_start,
        top_p=settings.top_p,
        max_tokens=min(settings.max_tokens, sampling.max_tokens),
        seed=seed,
    )
    rollouts, verdicts = judged_rollouts(step, policy, candidates, settings.trial_rollouts, params)
    selection = PromptSelection(
        max_length_spread=settings.max_length_spread if settings.prompt_optimization else None,
        pass_rates=(settings.min_pass_rate, settings.max_pass_rate),
    )
    selected, refused, ledger = select_prompts(
        candidates,
        judged_groups(candidates, rollouts, verdicts),
        selection,
        system_prompt=step.recipe.model.system_prompt,
    )
    write_records(step.folder / "prompts.parquet", selected, Prompt)
    write_records(step.folder / "refused.parquet", refused, Refused)
    return ledger.as_dict()


def rlvr(step: StepContext) -> Counts:
    """Train the stage-3 model on its own responses to the selected prompts."""
    settings = step.recipe.rlvr
    language_model = open_model(step, step.recipe.lora.base_bits)
    selected = read_records(step.inputs["prompts"] / "prompts.parquet", Prompt)
    objective = Grpo(settings.clip_low, settings.clip_high, settings.kl_weight)
    learner = open_learner(step, language_model, settings.learning_rate)
    sampled_from = language_model
    if learner.is_sharded:
        sampled_from = open_model(step)
        adapt(step, sampled_from)
    reference = None
    if settings.kl_weight > 0:  # without its adapters, the model is the stage's starting one
        shared = is_adapted(sampled_from.model)
        reference = sampled_from.model if shared else open_model(step).model
    policy = open_policy(step.recipe, sampled_from, "policy")
    with open_verifier(**step.recipe.verify.model_dump()) as verifier:
        source = RolloutSource(step, learner, policy, selected, verifier, reference)
        fit(step, learner, language_model, source, objective)
    return {"in": len(selected), "out": len(selected)}


class RolloutSource:
    """A step's data: groups sampled from the weights as they are now."""

    def __init__(
        self,
        step: StepContext,
        learner: Learner,
        policy: PolicyTeacher,
        selected: Sequence[Prompt],
        verifier: Verifier,
        reference: Any = None,
    ) -> None:
        self.recipe, self.settings, self.world = step.recipe, step.recipe.rlvr, step.world
        self.learner, self.chat = learner, policy.chat
        self.engine: Any = policy.engine
        self.verifier, self.selected, self.reference = verifier, selected, reference
        self.num_steps = self.settings.num_steps
        self.buffer = RolloutBuffer(step.folder / "buffer")

    def step(self, number: int) -> Step:
        """Sample, verify, rebalance, and lay out what is left in micro-batches."""
        settings = self.settings
        temperature = annealed_temperature(
            number,
            self.num_steps,
            settings.temperature_start,
            settings.temperature_end,
            settings.anneal_fraction,
        )
        self.learner.copy_weights_to(self.engine.model)
        groups = self._groups(number, temperature)
        units = [unit for group in groups for unit in self._units(group, number)]
        if units and self.reference is not None:
            units = self._with_reference(units, temperature)
        return Step(
            updates=self._updates(units),
            temperature=temperature,
            metrics={"temperature": temperature, **group_metrics(groups, len(units))},
        )

    def _groups(self, number: int, temperature: float) -> list[Group]:
        """The step's groups: from the buffer, if a run that was killed has sampled them already."""

        def recall() -> tuple[dict[str, str], list[Group] | None]:
            sampled_by = {
                "weights": weights_identity(self.engine.model),
                "temperature": repr(temperature),
                "seed": str(self.recipe.run.seed),
            }
            return sampled_by, self.buffer.read(number, sampled_by)

        sampled_by, kept = self.world.of_main(recall)
        if kept is not None:
            return kept
        drawn = list(enumerate(self._draw(number)))
        mine = even_parts(drawn, self.world.size)[self.world.rank]
        sampled = self.world.gather(self._sample(mine, temperature, number))
        groups = [group for part in sampled for group in part]
        self.world.of_main(lambda: self.buffer.write(number, groups, sampled_by))
        return groups

    def _draw(self, number: int) -> list[Prompt]:
        rates = [prompt.pass_rate for prompt in self.selected]
        oversample = self.settings.oversample if self.settings.rebalance else 1.0
        seed = derive_seed(self.recipe.run.seed, "rlvr", "draw", number)
        chosen = draw_prompts(rates, self.settings.prompts_per_step, oversample, seed)
        return [self.selected[i] for i in chosen]

    def largest(self) -> MicroBatch:
        """Rows as long as the longest prompt and response allow, twice."""
        settings = self.settings
        prompt = max(len(self.chat.prompt_ids(prompt.prompt)) for prompt in self.selected)
        length = min(prompt + settings.max_tokens, self.engine.max_length)
        unit = [TokenSequence([0] * length, num_targets=min(settings.max_tokens, length - 1))]
        return collate([[unit, unit]] * settings.micro_batch_size)

    def _sample(
        self, drawn: Sequence[tuple[int, Prompt]], temperature: float, number: int
    ) -> list[Group]:
        """A group for each of the prompts, which come with their places in the whole step."""
        size = self.settings.group_size
        prompt_ids = [self.chat.prompt_ids(prompt.prompt) for _, prompt in drawn]
        requests = [
            Request(ids, self._params(len(ids), temperature, number, place, index))
            for (place, _), ids in zip(drawn, prompt_ids, strict=True)
            for index in range(size)
        ]
        completions = self.engine.generate(requests)
        expected = [
            (reference(p.prompt[-1]["content"], p.answer, p.answer_kind), p.answer_kind)
            for _, p in drawn
        ]
        decisions = self.verifier.verify_batch(
            [
                (self.chat.decode(c.token_ids), *expected[i // size])
                for i, c in enumerate(completions)
            ]
        )
        groups = []
        for place, (_, prompt) in enumerate(drawn):
            members = range(place * size, (place + 1) * size)
            known = [i for i in members if decisions[i].verdict in REWARDS]
            groups.append(
                Group(
                    question_id=prompt.question_id,
                    prompt_ids=prompt_ids[place],
                    response_ids=[completions[i].token_ids for i in known],
                    logprobs=[completions[i].logprobs for i in known],
                    rewards=[REWARDS[decisions[i].verdict] for i in known],
                    finish_reasons=[completions[i].finish_reason for i in known],
                )
            )
        return groups

    def _params(
        self, prompt_length: int, temperature: float, number: int, place: int, index: int
    ) -> SamplingParams:
        return SamplingParams(
            temperature=temperature,
            top_p=self.settings.top_p,
            max_tokens=min(self.settings.max_tokens, self.engine.max_length - prompt_length),
            seed=derive_seed(self.recipe.run.seed, "rlvr", number, place, index),
        )

    def _units(self, group: Group, number: int) -> list[Unit]:
        """The responses to learn from, each with its advantage within what was kept."""
        if self.settings.rebalance:
            seed = derive_seed(self.recipe.run.seed, "rlvr", "balance", number, group.question_id)
            kept = balance(group.rewards, self.settings.easy_pass_rate, seed)
        else:
            kept = informative(group.rewards)
        if not kept:
            return []
        advantages = group_advantages(
            [group.rewards[i] for i in kept], scale_by_std=self.settings.scale_by_std
        )
        return [
            [
                TokenSequence(
                    [*group.prompt_ids, *group.response_ids[i]],
                    num_targets=len(group.response_ids[i]),
                    values={"advantages": advantage, "old_logprobs": group.logprobs[i]},
                )
            ]
            for i, advantage in zip(kept, advantages, strict=True)
        ]

    def _with_reference(self, units: list[Unit], temperature: float) -> list[Unit]:
        longest = max(map(unit_length, units))
        size = self.settings.micro_batch_size
        with base_alone(self.reference):
            scored = score_units(self.reference, units, longest, size, temperature)
        return [
            [replace(s, values={**s.values, "reference_logprobs": logprobs.tolist()})]
            for (s,), (logprobs,) in zip(units, scored, strict=True)
        ]

    def _updates(self, units: Sequence[Unit]) -> list[Update]:
        """Units dealt out to the step's updates, packed into rows as long as the longest two."""
        updates = []
        for part in range(self.settings.updates_per_step):
            dealt = units[part :: self.settings.updates_per_step]
            if not dealt:
                continue
            lengths = [unit_length(unit) for unit in dealt]
            rows = [[dealt[i] for i in row] for row in pack(lengths, 2 * max(lengths))]
            updates.append(make_update(rows, self.settings.micro_batch_size, self.world))
        return updates


def group_metrics(groups: Sequence[Group], num_kept: int) -> dict[str, float]:
    """What the sampled groups show, before rebalancing."""
    rewards = [reward for group in groups for reward in group.rewards]
    lengths = [len(ids) for group in groups for ids in group.response_ids]
    reasons = [reason for group in groups for reason in group.finish_reasons]
    count = max(1, len(rewards))
    return {
        "reward_mean": sum(rewards) / count,
        "pass_rate": sum(reward > 0 for reward in rewards) / count,
        "accept_rate": num_kept / count,
        "mean_tokens": sum(lengths) / count,
        "truncation_rate": reasons.count("length") / count,
    }
