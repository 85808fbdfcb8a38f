"""Stage 4, reinforcement learning with verifiable reward: GRPO or another algorithm of `rl`, +1 for
a correct answer, -1 otherwise.

Paper: learning rate 5e-7, 25K tokens, with three fixes: prompt optimisation (`curate/prompts.py`),
reward rebalancing (`rl/groups.py`, `rl/rebalance.py`), temperature annealing (`train/schedule.py`).

1. A response whose answer cannot be read (verdict unknown) is neither rewarded nor punished: it
   leaves its group.
2. Log-probabilities are taken at the sampling temperature, so the first update of a step is
   exactly on-policy.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from minireason.curate.judged import judged_groups
from minireason.curate.prompts import PromptSelection, select_prompts, still_open
from minireason.model.adapters import is_adapted
from minireason.model.chat import Chat
from minireason.model.load import LanguageModel
from minireason.recipe.reinforcement import Rlvr
from minireason.records import (
    Prompt,
    Question,
    Refused,
    Rollout,
    Verdict,
    iter_records,
    read_records,
    write_records,
)
from minireason.rl.algorithms import ALGORITHMS
from minireason.rl.critic import Critic, CriticSettings
from minireason.rl.gradient_noise import measure_noise
from minireason.rl.groups import Referee
from minireason.rl.rewarder import Rewarder
from minireason.rl.source import Others, Policy, RolloutSource
from minireason.rl.stream import Source
from minireason.rollout.crew import lead
from minireason.rollout.policy import PolicyTeacher
from minireason.rollout.sampling import SamplingParams
from minireason.runfolder import write_json
from minireason.seeding import derive_seed
from minireason.step import Counts, StepContext
from minireason.train.forward import ValueScorer
from minireason.train.learner import Learner
from minireason.train.objectives.policy_gradient import PolicyGradient
from minireason.train.schedule import annealed_temperature
from minireason.verify.verifier import open_verifier
from minireason.workbench import (
    adapt,
    fit,
    judged_rollouts,
    open_learner,
    open_model,
    open_policy,
    seeded_part,
)


def prompts(step: StepContext) -> Counts:
    """Prompt optimisation: trial rollouts of the stage-3 model decide which prompts are used."""
    policy = open_policy(step.recipe, open_model(step), "trial")
    return lead(step.world, policy, lambda: try_prompts(step, policy))


def try_prompts(step: StepContext, policy: PolicyTeacher) -> Counts:
    """Write `prompts.parquet` (Prompt) and `refused.parquet` (Refused)."""
    settings = step.recipe.rlvr
    questions = iter_records(step.inputs["questions"], Question)
    seed = derive_seed(step.recipe.run.seed, "prompts")
    candidates = seeded_part(questions, settings.num_candidates, seed)
    selection = PromptSelection(
        max_length_spread=settings.max_length_spread if settings.prompt_optimization else None,
        pass_rates=(settings.min_pass_rate, settings.max_pass_rate),
    )
    trials = run_trials(step, policy, candidates, selection, seed)
    selected, refused, ledger = select_prompts(
        candidates,
        judged_groups(candidates, *trials),
        selection,
        system_prompt=step.recipe.model.system_prompt,
    )
    write_records(step.folder / "prompts.parquet", selected, Prompt)
    write_records(step.folder / "refused.parquet", refused, Refused)
    return ledger.as_dict()


def run_trials(
    step: StepContext,
    policy: PolicyTeacher,
    candidates: Sequence[Question],
    selection: PromptSelection,
    seed: int,
) -> tuple[list[Rollout], list[Verdict]]:
    """Trial rollouts in rounds, each of the candidates that no round before has ruled out."""
    settings, evaluate = step.recipe.rlvr, step.recipe.evaluate
    rollouts: list[Rollout] = []
    verdicts: list[Verdict] = []
    in_trial = candidates
    for number, (first, end) in enumerate(rounds(settings.trial_rollouts, settings.trial_rounds)):
        params = SamplingParams(
            temperature=settings.temperature_start,
            top_p=settings.top_p,
            max_tokens=min(settings.max_tokens, evaluate.max_tokens),
            seed=derive_seed(seed, number) if number else seed,
        )
        part = f"round-{number + 1}"
        found, judged = judged_rollouts(step, policy, in_trial, end - first, params, part)
        rollouts += [replace(rollout, index=rollout.index + first) for rollout in found]
        verdicts += [replace(verdict, index=verdict.index + first) for verdict in judged]
        in_trial = still_open(in_trial, judged_groups(in_trial, found, judged), selection)
        if not in_trial:
            break
    order = {question.id: number for number, question in enumerate(candidates)}
    rollouts.sort(key=lambda rollout: (order[rollout.question_id], rollout.index))
    verdicts.sort(key=lambda verdict: (order[verdict.question_id], verdict.index))
    return rollouts, verdicts


def rounds(num_trials: int, num_rounds: int) -> list[tuple[int, int]]:
    """Trials from and up to which each round goes: at least two, which the spread needs."""
    num_rounds = min(num_rounds, num_trials // 2)
    cuts = [num_trials * n // num_rounds for n in range(num_rounds + 1)]
    return list(pairwise(cuts))


def rlvr(step: StepContext) -> Counts:
    """Train the stage-3 model on its own responses to the selected prompts."""
    with open_reinforcement(step, step.recipe.rlvr) as opened:
        fit(step, opened.learner, opened.language_model, opened.source, opened.objective)
        num_prompts = len(opened.source.prompts)
    return {"in": num_prompts, "out": num_prompts}


def gradient_noise(step: StepContext, num_steps: int) -> Counts:
    """Write `noise.json`: what so many steps' gradients say at the weights that the stage starts
    from, each of a whole step, sampled at the temperature of the middle of the training."""
    settings = step.recipe.rlvr
    temperature = annealed_temperature(
        1,
        2,
        settings.temperature_start,
        settings.temperature_end,
        settings.anneal_fraction,
    )
    still = {"temperature_start": temperature, "anneal_fraction": 0.0, "token_budget": 0}
    whole = {"num_steps": num_steps, "staleness": 0, "updates_per_step": 1}
    with (
        open_reinforcement(step, settings.model_copy(update=still | whole)) as opened,
        step.progress.track(step.folder.name) as advance,
    ):
        noise = measure_noise(opened.learner, opened.source, opened.objective, advance)
    write_json(step.folder / "noise.json", noise.as_dict())
    return {"in": num_steps, "out": num_steps}


@dataclass(frozen=True, slots=True)
class Reinforcement:
    """A training by reinforcement before its first step."""

    learner: Learner
    language_model: LanguageModel
    source: RolloutSource
    objective: PolicyGradient


@contextlib.contextmanager
def open_reinforcement(step: StepContext, settings: Rlvr) -> Iterator[Reinforcement]:
    """The stage-3 model, what samples from it and what it learns by."""
    algorithm = ALGORITHMS[settings.algorithm]
    language_model = open_model(step, step.recipe.lora.base_bits)
    selected = read_records(step.inputs["prompts"] / "prompts.parquet", Prompt)
    learner = open_learner(step, language_model, settings.learning_rate)
    weights = settings.rewards
    if algorithm.overlong_weight:
        weights = {"overlong": algorithm.overlong_weight, **weights}
    with (
        open_verifier(**step.recipe.verify.model_dump()) as verifier,
        Rewarder(weights, verifier) as rewarder,
    ):
        sources = open_sources(step, settings.staleness, learner, language_model)
        referee = Referee(Chat(language_model.tokenizer), rewarder)
        is_own = sources[0].model is learner.model or step.recipe.lora.base_bits == 32
        policy = Policy(sources, referee, is_own and step.recipe.sampler.engine == "embedded")
        others = Others(
            open_reference(step, settings, sources[0].model) if settings.kl_weight > 0 else None,
            open_critic(step, settings) if algorithm.needs_critic else None,
        )
        source = RolloutSource(learner, policy, selected, settings, step.folder, others)
        objective = algorithm.objective(
            settings.max_tokens, settings.kl_weight, settings.clip_low, settings.clip_high
        )
        yield Reinforcement(learner, language_model, source, objective)


def open_sources(
    step: StepContext, staleness: int, learner: Learner, language_model: LanguageModel
) -> list[Source]:
    """A sampler on the trained weights themselves, or on as many copies as sampling runs ahead."""
    if not staleness and not learner.is_sharded:
        models = [language_model]
    else:
        models = [open_model(step) for _ in range(max(1, staleness))]
        for model in models:
            adapt(step, model)
    return [Source(open_policy(step.recipe, m, "policy").engine, m.model) for m in models]


def open_reference(step: StepContext, settings: Rlvr, sampled: Any) -> Any:
    """The stage's starting model: what is below adapters, if nobody samples with them meanwhile."""
    is_shared = is_adapted(sampled) and not settings.staleness
    return sampled if is_shared else open_model(step, step.recipe.lora.base_bits).model


def open_critic(step: StepContext, settings: Rlvr) -> Critic:
    """PPO's critic, which starts as the policy does."""
    language_model = open_model(step)
    learner = open_learner(step, language_model, settings.critic_learning_rate, ValueScorer)
    return Critic(
        learner,
        CriticSettings(
            lam=settings.gae_lambda,
            updates_per_step=settings.updates_per_step,
            micro_batch_size=settings.micro_batch_size,
        ),
    )
