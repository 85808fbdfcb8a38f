"""The model as training sees it: what scores, what is updated, and over which processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed import HashStore  # type: ignore[attr-defined]
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
)

from minireason.model.sharded import whole
from minireason.train.forward import Scorer
from minireason.train.objectives import Scores
from minireason.train.optimizer import OptimizerSettings, build_optimizers
from minireason.train.packing import MicroBatch
from minireason.train.parallel import (
    DEFAULT,
    Parallelism,
    decoder_layers,
    recompute_activations,
    shard,
)
from minireason.world import ALONE, World


class Learner:
    """A model with its optimizers, in one process or sharded over all processes of a world."""

    def __init__(
        self,
        model: Any,
        settings: OptimizerSettings,
        world: World = ALONE,
        parallelism: Parallelism = DEFAULT,
        dtype: torch.dtype = torch.float32,
        scorer: Callable[[Any], torch.nn.Module] = Scorer,
    ) -> None:
        self.dtype = dtype
        self.model, self.settings, self.world = model, settings, world
        self.device = model.device
        self.scorer = scorer(model)
        recompute_activations(model, parallelism.activation_checkpointing)
        if parallelism.compile:
            for layer in decoder_layers(model):
                layer.compile()
        self.is_sharded = self.world.size > 1 or parallelism.cpu_offload
        if self.is_sharded:
            if not dist.is_initialized():  # offloading in one process
                dist.init_process_group(store=HashStore(), rank=0, world_size=1)
            shard(self.scorer, decoder_layers(model), parallelism, self.world, self.device, dtype)
        self.optimizers = build_optimizers(model, settings)

    def score(self, batch: MicroBatch, temperature: float, *, with_entropy: bool) -> Scores:
        """What the model says of every target token, given the tokens before it in its sequence."""
        return Scores(*self.scorer(batch, temperature, with_entropy))

    def set_learning_rate(self, rate: float) -> None:
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate

    def apply_gradients(self) -> None:
        """One update of the weights."""
        for optimizer in self.optimizers:
            optimizer.step()

    def forget_gradients(self) -> None:
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)

    def gradient_norm(self) -> float:
        """Global norm of the gradients, which are scaled down to `max_grad_norm`."""
        norm = torch.nn.utils.clip_grad_norm_(
            (p for p in self.model.parameters() if p.requires_grad), self.settings.max_grad_norm
        )
        return float(whole(norm))

    def gather(self, numbers: torch.Tensor) -> torch.Tensor:
        """The numbers of every process, [..., processes], in float64 on the CPU."""
        mine = numbers.detach().double().cpu()
        every = [mine]
        if self.world.size > 1:
            every = [torch.empty_like(mine) for _ in range(self.world.size)]
            dist.all_gather(every, mine)
        return torch.stack(every, dim=-1)

    def whole_weights(self) -> dict[str, Any]:
        """The full weights by name, on the CPU, in the main process; a tied one has one name.

        Every process must call it.
        """
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        weights = get_model_state_dict(self.model, options=options)
        names = {name for name, _ in self.model.named_parameters()}
        every = {name for name, _ in self.model.named_parameters(remove_duplicate=False)}
        return {name: weight for name, weight in weights.items() if name not in every - names}

    def copy_weights_to(self, model: Any) -> None:
        """Bring a whole model that was loaded like this one up to date; nothing if it is the same.

        Every process must call it, and each gets a whole copy.
        """
        if model is self.model:
            return
        with torch.no_grad():
            for mine, theirs in zip(self.model.parameters(), model.parameters(), strict=True):
                if mine.requires_grad:  # a frozen base is what it was
                    theirs.copy_(whole(mine))
