"""TRL's side: SFTTrainer and DPOTrainer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

from beside_trl.setting import BATCH, BETA, SETTINGS, Clock
from minireason.model.source import local_folder
from minireason.train.packing import Unit


def arguments(folder: str, num_steps: int) -> dict[str, Any]:
    return {
        "output_dir": folder,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
        "per_device_train_batch_size": BATCH,
        "max_steps": num_steps,
        "train_sampling_strategy": "sequential",
        "learning_rate": SETTINGS.learning_rate,
        "lr_scheduler_type": "constant",
        "weight_decay": SETTINGS.weight_decay,
        "adam_beta1": SETTINGS.beta1,
        "adam_beta2": SETTINGS.beta2,
        "max_grad_norm": SETTINGS.max_grad_norm,
        "optim": "adamw_torch_fused",
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
    }


def load(base: str) -> tuple[Any, Any]:
    folder = str(local_folder(base) or base)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="sdpa"
    )
    return model, AutoTokenizer.from_pretrained(folder)


def sft_trainer(base: str, ids: Sequence[Sequence[int]], **given: Any) -> SFTTrainer:
    model, tokenizer = load(base)
    return SFTTrainer(
        model,
        args=SFTConfig(**given),
        train_dataset=Dataset.from_dict({"input_ids": list(ids)}),
        processing_class=tokenizer,
    )


def sft(
    base: str,
    ids: Sequence[Sequence[int]],
    num_steps: int,
    max_length: int,
    *,
    packing: bool,
    with_losses: bool = False,
) -> Clock:
    with tempfile.TemporaryDirectory() as folder:
        given = arguments(folder, num_steps)
        given |= {"max_length": max_length, "packing": packing, "packing_strategy": "bfd"}
        if with_losses:
            given |= {"logging_strategy": "steps", "logging_steps": 1}
        trainer = sft_trainer(base, ids, **given)
        clock = _clocked(trainer, lambda: trainer._total_train_tokens)
        trainer.train()
    if with_losses:
        clock.losses = [float(line["loss"]) for line in trainer.state.log_history if "loss" in line]
    return clock


class TokenisedDPOTrainer(DPOTrainer):
    """Takes tokens as they are, and tells when a batch of the reference is done."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self.reference = Clock()
        super().__init__(*given, **named)

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def compute_ref_log_probs(self, *given: Any) -> Any:
        found = super().compute_ref_log_probs(*given)
        self.reference.tick(BATCH)
        return found


def dpo_trainer(base: str, units: Sequence[Unit], **given: Any) -> TokenisedDPOTrainer:
    model, tokenizer = load(base)
    return TokenisedDPOTrainer(
        model,
        args=DPOConfig(**given, beta=BETA),
        train_dataset=Dataset.from_list([preference(unit) for unit in units]),
        processing_class=tokenizer,
    )


def dpo(
    base: str, units: Sequence[Unit], max_length: int, num_steps: int, *, is_live: bool
) -> tuple[Clock, Clock]:
    """The clocks of the reference pass (empty where it is in the steps) and of training."""
    with tempfile.TemporaryDirectory() as folder:
        given = arguments(folder, num_steps) | {"max_length": max_length}
        trainer = dpo_trainer(base, units, **given, precompute_ref_log_probs=not is_live)
        clock = _clocked(trainer, lambda: trainer.state.global_step * BATCH)
        trainer.train()
    return trainer.reference, clock


def growth(base: str, ids: Sequence[Sequence[int]], resident: Callable[[bool], float]) -> float:
    """MiB that the first step adds at most."""
    with tempfile.TemporaryDirectory() as folder:
        given = arguments(folder, 1) | {"max_length": max(map(len, ids))}
        trainer = sft_trainer(base, ids, **given)
        before = resident(False)
        trainer.train()
    return resident(True) - before


def preference(unit: Unit) -> dict[str, list[int]]:
    """A pair as TRL holds it once it is tokenised."""
    chosen, rejected = unit
    prompt = len(chosen.ids) - chosen.num_targets
    return {
        "prompt_ids": list(chosen.ids[:prompt]),
        "chosen_ids": list(chosen.ids[prompt:]),
        "rejected_ids": list(rejected.ids[prompt:]),
    }


def _clocked(trainer: Any, so_far: Callable[[], int]) -> Clock:
    clock = Clock()

    class Ticking(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            clock.tick(so_far() - (clock.done[-1] if clock.done else 0))

    trainer.add_callback(Ticking())
    return clock
