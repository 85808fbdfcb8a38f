"""TRL's trainers around a small model, for their loss functions alone: nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerFast

from minireason.model.tiny import build_tokenizer
from minireason.train.objectives import Objective, Scores, Totals
from minireason.train.packing import MicroBatch, TokenSequence, collate

PROMPT, LONGEST = 3, 6
COMMON: dict[str, Any] = {"use_cpu": True, "bf16": False, "report_to": [], "save_strategy": "no"}


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(["1 + 1 = 2"])


@pytest.fixture
def trl_sft(make_model: Callable[..., Any], tokenizer: Any, tmp_path: Any) -> Any:
    from trl import SFTConfig, SFTTrainer

    return SFTTrainer(
        make_model("phi3", "sdpa", vocab_size=len(tokenizer)),
        args=SFTConfig(str(tmp_path), **COMMON, gradient_checkpointing=False),
        train_dataset=Dataset.from_list([{"prompt": "a", "completion": "b"}]),
        processing_class=tokenizer,
    )


@pytest.fixture
def trl_dpo(make_model: Callable[..., Any], tokenizer: Any, tmp_path: Any) -> Any:
    from trl import DPOConfig, DPOTrainer

    return DPOTrainer(
        make_model("phi3", "sdpa", vocab_size=len(tokenizer)),
        ref_model=make_model("phi3", "sdpa", seed=1, vocab_size=len(tokenizer)),
        args=DPOConfig(str(tmp_path), **COMMON, beta=0.3),
        train_dataset=Dataset.from_list([{"prompt": "a", "chosen": "b", "rejected": "c"}]),
        processing_class=tokenizer,
    )


@pytest.fixture
def trl_grpo(make_model: Callable[..., Any], tokenizer: Any, tmp_path: Any) -> Any:
    from trl import GRPOConfig, GRPOTrainer

    trainer = GRPOTrainer(
        make_model("phi3", "sdpa", vocab_size=len(tokenizer)),
        reward_funcs=lambda **_: [0.0],
        args=GRPOConfig(
            str(tmp_path),
            **COMMON,
            per_device_train_batch_size=4,
            num_generations=4,
            loss_type="bnpo",
            temperature=0.7,
            epsilon=0.2,
            epsilon_high=0.28,
            use_bias_correction_kl=False,  # TRL's default multiplies the penalty by the ratio
        ),
        train_dataset=Dataset.from_list([{"prompt": "a"}] * 4),
        processing_class=tokenizer,
    )
    trainer.current_gradient_accumulation_steps = 1
    return trainer


@pytest.fixture
def trl_rloo(make_model: Callable[..., Any], tokenizer: Any, tmp_path: Any) -> Any:
    from trl import RLOOConfig, RLOOTrainer

    return RLOOTrainer(
        make_model("phi3", "sdpa", vocab_size=len(tokenizer)),
        reward_funcs=lambda **_: [0.0],
        args=RLOOConfig(
            str(tmp_path),
            **COMMON,
            per_device_train_batch_size=4,
            num_generations=4,
            temperature=0.7,
            epsilon=0.2,
            epsilon_high=0.28,
            beta=0.0,
        ),
        train_dataset=Dataset.from_list([{"prompt": "a"}] * 4),
        processing_class=tokenizer,
    )


@pytest.fixture
def responses(tokenizer: Any) -> list[TokenSequence]:
    """Four sequences with prompts of three tokens and responses of 6, 2, 4 and 1."""
    torch.manual_seed(5)
    ids = torch.randint(5, len(tokenizer), (4, PROMPT + LONGEST)).tolist()
    return [TokenSequence(i[: PROMPT + n], n) for i, n in zip(ids, (6, 2, 4, 1), strict=True)]


@pytest.fixture(scope="session")
def pair() -> Callable[..., list[TokenSequence]]:
    """A chosen and a rejected sequence with these reference log-probabilities."""

    def make(chosen: Sequence[float], rejected: Sequence[float]) -> list[TokenSequence]:
        return [
            TokenSequence(range(len(v) + 1), len(v), {"reference_logprobs": list(v)})
            for v in (chosen, rejected)
        ]

    return make


@pytest.fixture(scope="session")
def padded() -> Callable[[Sequence[TokenSequence]], dict[str, torch.Tensor]]:
    """Right-padded `input_ids`, `attention_mask` and `completion_mask`, as TRL collates them."""

    def pad(sequences: Sequence[TokenSequence]) -> dict[str, torch.Tensor]:
        width = max(len(s.ids) for s in sequences)
        lengths = torch.tensor([len(s.ids) for s in sequences])[:, None]
        targets = torch.tensor([s.num_targets for s in sequences])[:, None]
        place = torch.arange(width)
        return {
            "input_ids": torch.tensor([[*s.ids] + [0] * (width - len(s.ids)) for s in sequences]),
            "attention_mask": (place < lengths).long(),
            "completion_mask": ((place < lengths) & (place >= lengths - targets)).long(),
        }

    return pad


@pytest.fixture(scope="session")
def same_gradients() -> Callable[..., None]:
    """That two models of equal parameters have equal gradients, by each one's own scale."""

    def compare(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
        for (name, one), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
            scale = other.grad.abs().max().item()
            assert scale > 0, name
            torch.testing.assert_close(one.grad, other.grad, atol=2e-5 * scale, rtol=1e-4, msg=name)

    return compare


@pytest.fixture(scope="session")
def evaluate() -> Callable[..., tuple[torch.Tensor, torch.Tensor, dict[str, float]]]:
    """An objective on log-probabilities given outright: loss, its gradient, metrics."""

    def run(
        objective: Objective, sequences: Sequence[TokenSequence], logprobs: Sequence[float]
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        batch: MicroBatch = collate([[list(sequences)]])
        logprobs_N = torch.tensor(logprobs, requires_grad=True)
        totals = Totals(batch.num_targets, batch.num_sequences)
        entropy_N = torch.full_like(logprobs_N, 0.5).detach() if objective.needs_entropy else None
        scores = Scores(logprobs_N, entropy_N)
        loss, metrics = objective(scores, batch, totals)
        (gradient,) = torch.autograd.grad(loss, logprobs_N)
        return loss.detach(), gradient, {name: float(v) for name, v in metrics.items()}

    return run
