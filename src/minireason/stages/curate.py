"""Curate: from verified rollouts to the sets that stages 1 and 2 imitate.

Mid-training takes every correct rollout; SFT a compact, hard and diverse part of them. Preference
pairs and RL prompts are made where their stage begins, since they may need the student.
"""

from __future__ import annotations

from minireason.curate.deduplicate import deduplicate_rollouts
from minireason.curate.select import SftSelection, midtrain_examples, sft_examples
from minireason.records import Example, Question, Rollout, Verdict, read_records, write_records
from minireason.seeding import derive_seed
from minireason.step import Counts, StepContext


def curate(step: StepContext) -> Counts:
    """Write `midtrain.parquet` and `sft.parquet` (Example records)."""
    settings, system_prompt = step.recipe.curate, step.recipe.model.system_prompt
    questions = read_records(step.inputs["questions"], Question)
    verdicts = read_records(step.inputs["verify"], Verdict)
    rollouts, repeats = deduplicate_rollouts(read_records(step.inputs["rollout"], Rollout))
    midtrain, midtrain_ledger = midtrain_examples(
        questions,
        rollouts,
        verdicts,
        system_prompt=system_prompt,
        max_repetition=settings.max_repetition,
    )
    selection = SftSelection(
        size=settings.sft_size,
        per_question=settings.sft_per_question,
        max_repetition=settings.max_repetition,
        seed=derive_seed(step.recipe.run.seed, "curate"),
    )
    sft, sft_ledger = sft_examples(
        questions, rollouts, verdicts, selection, system_prompt=system_prompt
    )
    write_records(step.folder / "midtrain.parquet", midtrain, Example)
    write_records(step.folder / "sft.parquet", sft, Example)
    return {
        **repeats.as_dict(),
        **midtrain_ledger.as_dict("midtrain "),
        **sft_ledger.as_dict("sft "),
        "out": len(midtrain),
    }
