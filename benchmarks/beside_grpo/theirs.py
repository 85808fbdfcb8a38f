"""TRL's side: GRPOTrainer, with its own `generate` and our verifier."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from beside_grpo.task import Measured, Task, prompts_in_order
from minireason.model.chat import Chat
from minireason.model.source import local_folder
from minireason.records import Prompt
from minireason.rl.rewarder import Rewarder
from minireason.rl.rewards import Response
from minireason.verify.verifier import Verifier


def train(task: Task, folder: Path) -> list[Measured]:
    """What each step took; weights that are to be kept are saved between two steps."""
    with Verifier() as verifier, Rewarder({"correct": 1.0}, verifier) as rewarder:
        trainer = TimedTrainer(task, folder, rewarder)
        clock = Clock(trainer, task, folder)
        trainer.add_callback(clock)
        trainer.train()
    return clock.steps


def kept(folder: Path) -> list[Path]:
    """Where the kept weights are, in order."""
    return sorted(folder.glob("step-*"))


def arguments(task: Task, folder: Path) -> dict[str, Any]:
    if task.num_responses % task.rows:
        raise ValueError(
            f"rows is {task.rows} and a step has {task.num_responses} responses; TRL would take "
            "fewer of them: give rows that divide them"
        )
    return {
        "output_dir": str(folder),
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
        "seed": task.seed,
        "max_steps": task.num_steps,
        "per_device_train_batch_size": task.rows,
        "gradient_accumulation_steps": task.num_responses // task.rows,
        "num_generations": task.group_size,
        "max_completion_length": task.max_tokens,
        "shuffle_dataset": False,
        "temperature": 1.0,
        "top_p": 1.0,
        "beta": 0.0,
        "epsilon": 0.2,
        "loss_type": "grpo",
        "scale_rewards": "group",
        "learning_rate": task.learning_rate,
        "lr_scheduler_type": "constant",
        "weight_decay": 0.0,
        "adam_beta1": 0.9,
        "adam_beta2": 0.95,
        "max_grad_norm": 1.0,
        "optim": "adamw_torch_fused",
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        **_cache(task),
    }


def _cache(task: Task) -> dict[str, Any]:
    if task.cache != "paged":
        return {"cache_implementation": None if task.cache == "dynamic" else task.cache}
    # left to itself, it sizes its cache by the machine's memory
    pages = {"page_size": 32, "num_blocks": 16 * task.num_responses}
    limits = {"max_batch_tokens": 4 * task.num_responses}
    return {
        "use_transformers_continuous_batching": True,
        "transformers_continuous_batching_config": pages | limits,
    }


class TimedTrainer(GRPOTrainer):
    """Notes when it samples and when it asks for rewards, and what it gets."""

    def __init__(self, task: Task, folder: Path, rewarder: Rewarder) -> None:
        base = str(local_folder(task.model) or task.model)
        self.seconds: dict[str, float] = {}
        self.responses: list[list[int]] = []
        self.rewards: list[float | None] = []
        tokenizer = AutoTokenizer.from_pretrained(base)
        self.rewarder, self.chat = rewarder, Chat(tokenizer)
        super().__init__(
            AutoModelForCausalLM.from_pretrained(
                base, dtype=torch.float32, attn_implementation="sdpa"
            ),
            reward_funcs=self._worth,
            args=GRPOConfig(**arguments(task, folder)),
            train_dataset=Dataset.from_list(list(map(_row, prompts_in_order(task)))),
            processing_class=tokenizer,
        )

    def _generate_single_turn(self, *given: Any, **named: Any) -> Any:
        found = self._timed("sampling", super()._generate_single_turn, *given, **named)
        self.responses = found[0]
        return found

    def _calculate_rewards(self, *given: Any, **named: Any) -> Any:
        return self._timed("reward", super()._calculate_rewards, *given, **named)

    def _timed(self, phase: str, work: Callable[..., Any], *given: Any, **named: Any) -> Any:
        started = time.perf_counter()
        found = work(*given, **named)
        self.seconds[phase] = time.perf_counter() - started
        return found

    def _worth(
        self,
        completion_ids: list[list[int]],
        question: list[str],
        answer: list[str],
        answer_kind: list[str],
        **_: Any,
    ) -> list[float]:
        """Our reward of each response; 0 where it cannot be told, as TRL takes it."""
        asked = zip(question, answer, answer_kind, completion_ids, strict=True)
        responses = [
            Response(
                *about, self.chat.decode(ids), len(ids), "stop", self.args.max_completion_length
            )
            for *about, ids in asked
        ]
        self.rewards = [found.total for found in self.rewarder.reward(responses)]
        return [reward or 0.0 for reward in self.rewards]


def _row(prompt: Prompt) -> dict[str, Any]:
    return {
        "prompt": prompt.prompt,
        "question": prompt.prompt[-1]["content"],
        "answer": prompt.answer,
        "answer_kind": prompt.answer_kind,
    }


class Clock(TrainerCallback):
    """Every step from the end of the one before, less what keeping its weights took."""

    def __init__(self, trainer: TimedTrainer, task: Task, folder: Path) -> None:
        self.trainer, self.task, self.folder = trainer, task, folder
        self.steps: list[Measured] = []
        self.since = 0.0
        self.grad_norm = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.since = time.perf_counter()

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        norms = [p.grad.norm() for p in self.trainer.model.parameters() if p.grad is not None]
        self.grad_norm = float(torch.stack(norms).norm())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.steps.append(self._measured(time.perf_counter() - self.since))
        done = len(self.steps)
        if self.task.kept_every and done % self.task.kept_every == 0:
            self.trainer.model.save_pretrained(self.folder / f"step-{done:06d}")
        self.since = time.perf_counter()

    def _measured(self, seconds: float) -> Measured:
        rewards, size = self.trainer.rewards, self.task.group_size
        known = [reward for reward in rewards if reward is not None]
        groups = [set(rewards[i : i + size]) - {None} for i in range(0, len(rewards), size)]
        return Measured(
            seconds=seconds,
            sampling_s=self.trainer.seconds["sampling"],
            reward_s=self.trainer.seconds["reward"],
            num_responses=len(self.trainer.responses),
            num_tokens=sum(map(len, self.trainer.responses)),
            pass_rate=sum(reward > 0 for reward in known) / max(1, len(known)),
            unknown_rate=1 - len(known) / len(rewards),
            without_signal=sum(len(group) < 2 for group in groups) / len(groups),
            grad_norm=self.grad_norm,
        )
