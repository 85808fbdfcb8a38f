"""A model over several processes: FSDP2 shards, mixed precision, recomputed activations.

Every process holds a part of each weight and the optimizer's state of that part. A layer's weights
are gathered when its turn comes, and its gradients are summed over the processes as they appear.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import (
    CPUOffloadPolicy,
    FSDPModule,
    MixedPrecisionPolicy,
    OffloadPolicy,
    fully_shard,
)
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts

from minireason.world import World

KEPT_PRODUCTS = frozenset(
    {
        torch.ops.aten.mm.default,
        torch.ops.aten.addmm.default,
        torch.ops.aten._scaled_dot_product_flash_attention.default,
        torch.ops.aten._scaled_dot_product_efficient_attention.default,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
        torch.ops.aten._flash_attention_forward.default,
    }
)
"""What selective recomputation keeps: attention, and every second matrix product."""


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How a model is spread over processes and how its activations are held.

    `sharding` "full" spreads the weights over all processes; "hybrid" over those of one machine,
    with a copy on every machine, so that only gradients cross machines.
    """

    sharding: Literal["full", "hybrid"] = "full"
    activation_checkpointing: Literal["none", "selective", "full"] = "none"
    cpu_offload: bool = False
    compile: bool = False


DEFAULT = Parallelism()


def decoder_layers(model: Any) -> Iterator[torch.nn.Module]:
    """The layers that transformers says must stay whole: the units of sharding."""
    names = set(model._no_split_modules or ())
    return (module for module in model.modules() if type(module).__name__ in names)


def recompute_activations(model: Any, how: Literal["none", "selective", "full"]) -> None:
    """Hold each layer's input alone and compute the rest again in the backward pass.

    "selective" also holds what is dear to compute and small (Korthikanti et al. 2022,
    arXiv 2205.05198, keep all but attention; here, attention and every second product).
    """
    if how == "none":
        return
    settings: dict[str, Any] = {"use_reentrant": False}
    if how == "selective":
        settings["context_fn"] = _selective_contexts
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=settings)


def _selective_contexts() -> Any:
    products = {False: 0, True: 0}

    def policy(context: Any, op: Any, *_: Any, **__: Any) -> CheckpointPolicy:
        if op not in KEPT_PRODUCTS:
            return CheckpointPolicy.PREFER_RECOMPUTE
        if op in (torch.ops.aten.mm.default, torch.ops.aten.addmm.default):
            products[context.is_recompute] += 1
            if products[context.is_recompute] % 2 == 0:
                return CheckpointPolicy.PREFER_RECOMPUTE
        return CheckpointPolicy.MUST_SAVE

    return create_selective_checkpoint_contexts(policy)


def shard(
    root: torch.nn.Module,
    layers: Iterator[torch.nn.Module],
    parallelism: Parallelism,
    world: World,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    """Spread the weights of `root` over the processes: layer by layer, then what is left.

    Weights, gradients' sums and the optimizer stay in float32; layers compute in `dtype`.
    """
    # The forward pass runs under autocast as in one process, which casts what it must. The root
    # keeps embedding, last norm and head in float32, and with them what flows between the layers.
    exact = MixedPrecisionPolicy(reduce_dtype=torch.float32, cast_forward_inputs=False)
    lowered = None if dtype == torch.float32 else dtype
    offloaded = CPUOffloadPolicy(pin_memory=device.type == "cuda")
    offload = offloaded if parallelism.cpu_offload else OffloadPolicy()
    spread = partial(
        fully_shard,
        mesh=_mesh(parallelism, world, device),
        offload_policy=offload,
    )
    for layer in layers:
        spread(layer, mp_policy=replace(exact, param_dtype=lowered))
    spread(root, mp_policy=exact)
    for module in root.modules():
        if isinstance(module, FSDPModule):
            # The loss is divided by the totals of all processes: gradients add up.
            module.set_force_sum_reduction_for_comms(True)
            module.set_gradient_divide_factor(1.0)


def _mesh(parallelism: Parallelism, world: World, device: torch.device) -> DeviceMesh:
    local = world.size_of_machine
    if parallelism.sharding == "hybrid" and local < world.size:
        shape = (world.size // local, local)
        return init_device_mesh(device.type, shape, mesh_dim_names=("replicate", "shard"))
    return init_device_mesh(device.type, (world.size,))
