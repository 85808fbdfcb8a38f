"""TRL's trainers, asked for the advantages that they make of given rewards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from minireason.model.tiny import build_model, build_tokenizer

Groups = Sequence[Sequence[float]]


@pytest.fixture(scope="session")
def trl_advantages(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., list[list[float]]]:
    """The advantages of groups of four responses by a trainer ("GRPO", "RLOO") of TRL.

    What it would sample and the rewards it would compute are given to it; the rest is its own.
    """
    import trl
    from datasets import Dataset

    tokenizer = build_tokenizer(["1 + 1 = 2"])
    model = build_model(len(tokenizer), seed=0, num_layers=1)
    model.set_attn_implementation("sdpa")

    def made(name: str, groups: Groups, folder: Path, **settings: Any) -> list[list[float]]:
        count = sum(map(len, groups))
        prompts: list[dict[str, Any]] = [{"prompt": "a"}] * count
        args = getattr(trl, f"{name}Config")(
            str(folder),
            use_cpu=True,
            bf16=False,
            report_to=[],
            beta=0.0,
            per_device_train_batch_size=count,
            num_generations=4,
            **settings,
        )
        trainer = getattr(trl, f"{name}Trainer")(
            model,
            reward_funcs=lambda **_: [0.0],
            args=args,
            train_dataset=Dataset.from_list(prompts),
            processing_class=tokenizer,
        )
        model.train()  # the number of responses a prompt is that of training
        ids = [[7]] * count
        generated = [ids, ids, ["a"] * count]
        if name == "GRPO":
            generated = [ids, ids, None, ["a"] * count, None, {}, None, None]
        rewards = torch.tensor([reward for group in groups for reward in group])
        trainer._generate = lambda _: generated
        trainer._calculate_rewards = lambda *_: rewards[:, None]
        return trainer._generate_and_score_completions(prompts)["advantages"].view(-1, 4).tolist()

    def make(name: str, groups: Groups, **settings: Any) -> list[list[float]]:
        return made(name, groups, tmp_path_factory.mktemp(name), **settings)

    return make
