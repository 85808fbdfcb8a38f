"""What the policy said in a step, written down for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from minireason.records import PolicySample, Prompt, write_records
from minireason.rl.groups import Referee
from minireason.rl.stream import Batch

Learnt = Mapping[tuple[int, int], float]
"""The advantage, or their mean over the tokens, by the group's and the response's number."""


def write_samples(folder: Path, samples: Sequence[PolicySample]) -> None:
    """Write the samples of a step to `folder/step-NNNNNN.parquet`."""
    folder.mkdir(exist_ok=True)
    write_records(folder / f"step-{samples[0].step:06d}.parquet", samples, PolicySample)


def policy_samples(
    number: int,
    batch: Batch,
    learnt: Learnt,
    prompts: Mapping[str, Prompt],
    referee: Referee,
) -> Iterator[PolicySample]:
    """The samples of step `number`, counted from 1, with what became of them."""
    for place, group in enumerate(batch.groups):
        prompt = prompts[group.question_id]
        for index, ids in enumerate(group.response_ids):
            yield PolicySample(
                step=number,
                question_id=group.question_id,
                index=index,
                question=prompt.prompt[-1]["content"],
                answer=prompt.answer,
                response=referee.chat.decode(ids),
                verdict=group.verdicts[index],
                extracted=group.extracted[index],
                finish_reason=group.finish_reasons[index],
                num_tokens=len(ids),
                temperature=batch.sampled_by.temperature,
                mean_logprob=fmean(group.logprobs[index]),
                reward_names=referee.reward_names,
                reward_parts=group.reward_parts[index],
                reward=group.rewards[index],
                advantage=learnt.get((place, index)),
                lag=batch.sampled_by.lag,
            )
