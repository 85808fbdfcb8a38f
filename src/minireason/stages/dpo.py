"""Stage 3, Rollout DPO: a correct rollout preferred over an incorrect one of the same question.

Paper: pairs from the teacher's filtered rollouts, 16K, learning rate 5e-7, one epoch, the
reference is the model of stage 2.

1. Pairs may come from the student's own rollouts, or from both: what the model itself gets wrong
   is what there is to unlearn. For questions with one human solution there is no other source.
2. The reference's log-probabilities are computed once, before the first step, and stay with what
   the step makes.
3. The loss may be another than DPO's (`train/objectives/preference.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from minireason.curate.judged import Judged, judged_groups, shard_groups
from minireason.curate.ledger import Ledger
from minireason.curate.pairs import PairSelection, preference_pairs
from minireason.errors import DataError
from minireason.model.chat import Chat
from minireason.model.load import LanguageModel
from minireason.model.rope import REGIME_KEY
from minireason.model.source import local_folder
from minireason.records import Pair, Question, iter_records, parquet_files, write_records
from minireason.rollout.crew import lead
from minireason.rollout.policy import PolicyTeacher
from minireason.rollout.sampling import SamplingParams
from minireason.seeding import derive_seed
from minireason.step import Counts, StepContext
from minireason.train.data import PackedData
from minireason.train.forward import score_units
from minireason.train.objectives.preference import LOSSES, Preference
from minireason.train.packing import Unit
from minireason.train.reference import ReferenceLogprobs, model_identity
from minireason.train.store import Entry, TokenStore, write_values
from minireason.workbench import (
    TOKENS,
    conversations,
    fit,
    fitting,
    judged_rollouts,
    layout,
    open_learner,
    open_model,
    open_policy,
    seeded_part,
    stored_tokens,
)

REFERENCE = "reference"
NamedGroups = Iterator[tuple[str, Iterator[list[Judged]]]]
"""Judged rollouts by question, a shard with its name at a time."""


def pairs(step: StepContext) -> Counts:
    """Write shards of pairs, from the teacher's rollouts, the student's, or both."""
    wanted = step.recipe.dpo.rollouts_from
    sources = {"teacher": teacher_groups(step)} if wanted != "student" else {}
    if wanted == "teacher":
        return step.world.of_main(lambda: write_pairs(step, sources))
    policy = open_policy(step.recipe, open_model(step), "student")
    sources["student"] = student_groups(step, policy)
    return lead(step.world, policy, lambda: write_pairs(step, sources))


def write_pairs(step: StepContext, sources: Mapping[str, NamedGroups]) -> Counts:
    """Write the pairs of each source into `pairs/`."""
    (step.folder / "pairs").mkdir(exist_ok=True)
    counts: dict[str, int] = {}
    num_pairs = 0
    for who, shards in sources.items():
        ledger, num_made = Ledger(), 0
        for name, groups in shards:
            found = _pairs(step, who, groups, ledger)
            num_made += write_records(step.folder / "pairs" / f"{who}-{name}", found, Pair)
        may_be_empty = len(sources) > 1
        ledger.close(2 * num_made, "rollouts in preference pairs", may_be_empty=may_be_empty)
        counts |= ledger.as_dict(f"{who} ")
        num_pairs += num_made
    if not num_pairs:
        raise DataError(f"neither the teacher's nor the student's rollouts make a pair: {counts}")
    return {**counts, "out": num_pairs}


def _pairs(
    step: StepContext, who: str, groups: Iterable[list[Judged]], ledger: Ledger
) -> Iterator[Pair]:
    settings = step.recipe.dpo
    selection = PairSelection(
        per_question=settings.pairs_per_question,
        max_length_ratio=settings.max_length_ratio,
        rejects_truncated=settings.rejects_truncated,
        seed=derive_seed(step.recipe.run.seed, "pairs"),
    )
    prompt = step.recipe.model.system_prompt
    for pair in preference_pairs(groups, selection, ledger, system_prompt=prompt):
        yield replace(pair, id=f"{who}/{pair.id}")


def teacher_groups(step: StepContext) -> NamedGroups:
    """The teacher's judged rollouts, a shard at a time."""
    questions = iter_records(step.inputs["questions"], Question)
    for shard in parquet_files(step.inputs["rollout"]):
        yield shard.name, shard_groups(questions, shard, step.inputs["verify"])


def student_groups(step: StepContext, policy: PolicyTeacher) -> NamedGroups:
    """Judged rollouts of the stage-2 model on a seeded part of the questions."""
    settings, sampling = step.recipe.dpo, step.recipe.evaluate
    seed = derive_seed(step.recipe.run.seed, "pairs")
    asked = seeded_part(
        iter_records(step.inputs["questions"], Question), settings.num_questions, seed
    )
    params = SamplingParams(
        temperature=settings.temperature, top_p=1.0, max_tokens=sampling.max_tokens, seed=seed
    )
    rollouts, verdicts = judged_rollouts(step, policy, asked, settings.num_rollouts, params)
    yield "part-00000.parquet", judged_groups(asked, rollouts, verdicts)


def dpo(step: StepContext) -> Counts:
    """Train the stage-2 model to prefer the chosen responses."""
    settings = step.recipe.dpo
    language_model = open_model(step, step.recipe.lora.base_bits)
    encode = partial(encoded, Chat(language_model.tokenizer))
    tokens = stored_tokens(step, step.inputs["pairs"] / "pairs", Pair, encode)
    kept = fitting(tokens, settings)
    referenced = with_reference(step, language_model, kept)
    data = PackedData(referenced, layout(settings), step.recipe.run.seed, step.world)
    objective = Preference(LOSSES[settings.loss], settings.beta, settings.nll_weight)
    learner = open_learner(step, language_model, settings.learning_rate)
    fit(step, learner, language_model, data, objective)
    return {"in": len(tokens), "out": len(kept), "dropped: overlong": len(tokens) - len(kept)}


def encoded(chat: Chat, preferences: Sequence[Pair]) -> Iterator[Entry]:
    """Pairs of conversations with the chosen and with the rejected response as targets."""
    both = [[*p.prompt, *messages] for p in preferences for messages in (p.chosen, p.rejected)]
    sequences = conversations(chat, both)
    for pair in preferences:
        yield Entry(pair.id, [next(sequences), next(sequences)])


def with_reference(
    step: StepContext, language_model: LanguageModel, pairs: TokenStore
) -> TokenStore:
    """The pairs with the starting model's log-probabilities, kept in the step's `reference/`."""
    settings = step.recipe.dpo
    made_by = {
        "model": _starting_model(step, language_model),
        "dtype": step.recipe.run.dtype,
        "rope": getattr(language_model.model.config, REGIME_KEY, ""),
    }
    reference = ReferenceLogprobs(step.folder / REFERENCE, pairs.names, pairs, made_by)
    if step.world.of_main(reference.prepare):
        step.progress.say(
            f"the log-probabilities in {reference.folder} are of another model or of other pairs; "
            f"they are computed again"
        )

    def score(units: Sequence[Unit]) -> list[list[np.ndarray]]:
        rows = settings.seq_length, settings.micro_batch_size
        return score_units(language_model.model, units, *rows)

    language_model.model.eval()
    with step.progress.track(f"{step.folder.name}: reference") as advance:
        mine = range(reference.num_shards)[step.world.rank :: step.world.size]
        reference.compute(score, mine, advance)
    step.world.wait()
    file = step.folder / TOKENS / "reference_logprobs.bin"
    step.world.of_main(lambda: write_values(file, itertools.chain.from_iterable(reference.read())))
    return pairs.with_values("reference_logprobs", file)


def _starting_model(step: StepContext, language_model: LanguageModel) -> str:
    base = step.recipe.model.base
    folder = step.inputs.get("model") or local_folder(base)
    if folder:
        return model_identity(folder)
    return f"{base}@{language_model.model.config._commit_hash}"  # a hub id and its revision
