"""What both sides are given, and what is noted of a step."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from minireason.problems.procedural import generate_questions
from minireason.records import Prompt, Question, read_records, write_records
from minireason.rl.groups import draw_order
from minireason.seeding import derive_seed

PROMPTS = "prompts.parquet"
HELD_OUT = "held_out.parquet"


@dataclass(frozen=True, slots=True)
class Task:
    """A training; `rows` is the side's micro-batch, in responses with TRL, packed with us.

    `kept_every` steps the weights are kept; 0 never. `max_batch` are sequences that we decode at
    once, `cache` is the cache that TRL samples with ("paged": its continuous batching).
    """

    model: str
    prompts: str
    num_steps: int
    prompts_per_step: int = 24
    group_size: int = 8
    max_tokens: int = 320
    learning_rate: float = 1e-4
    seed: int = 0
    rows: int = 8
    max_batch: int = 192
    cache: str = "dynamic"
    threads: int = 1
    kept_every: int = 0

    @property
    def num_responses(self) -> int:
        return self.prompts_per_step * self.group_size


@dataclass(frozen=True, slots=True)
class Measured:
    """A step: its seconds, those of sampling and of rewards, and what was sampled.

    `reward_s` is 0 where judging goes on beside sampling. Rates are of responses that could be
    judged, `without_signal` of groups.
    """

    seconds: float
    sampling_s: float
    reward_s: float
    num_responses: int
    num_tokens: int
    pass_rate: float
    unknown_rate: float
    without_signal: float
    grad_norm: float


def task_of(run: dict[str, Any]) -> Task:
    """The fields of a run that a task has."""
    return Task(**{field.name: run[field.name] for field in fields(Task) if field.name in run})


def lay_prompts(model: str, folder: Path, num_held_out: int, *, only_open: bool) -> None:
    """Part the prompts of the run that the model is of, or questions of our own, into what is
    trained on and what is held out; if asked, only those that the run's trials neither all solved
    nor all failed, of which there is something to learn."""
    beside = Path(model).parent / "prompts" / PROMPTS
    if beside.is_file():
        prompts = [p for p in read_records(beside, Prompt) if not only_open or 0 < p.pass_rate < 1]
    else:
        prompts = list(map(_prompt, _questions()))
    prompts.sort(key=lambda prompt: derive_seed("held out", prompt.question_id))
    write_records(folder / HELD_OUT, prompts[:num_held_out], Prompt)
    write_records(folder / PROMPTS, prompts[num_held_out:], Prompt)


def prompts_in_order(task: Task) -> list[Prompt]:
    """The prompts of every step, one after the other, as our stage draws them."""
    prompts = read_records(Path(task.prompts) / PROMPTS, Prompt)
    seed = derive_seed(task.seed, "rlvr", 0)
    seeds = [derive_seed(seed, "rlvr", "draw", n) for n in range(task.num_steps)]
    orders = [draw_order(len(prompts), task.prompts_per_step, seed) for seed in seeds]
    return [prompts[i] for order in orders for i in order]


def _questions() -> list[Question]:
    return generate_questions(400, 0, "train", choice_fraction=1.0)  # which the base may guess


def _prompt(question: Question) -> Prompt:
    return Prompt(
        question_id=question.id,
        prompt=[{"role": "user", "content": question.text}],
        answer=question.answer,
        answer_kind=question.answer_kind,
        pass_rate=0.0,
        mean_tokens=0.0,
        length_spread=0.0,
    )
