"""The processes that carry out one run together: which one this is, and what they tell each other.

One process is a world of its own and imports no torch for it. Several are started by
`minireason ... --processes N`, or by torchrun on one machine or many; each finds its rank in the
environment as torchrun sets it. What passes here is small and goes over gloo; tensors of the model
are torch's to move.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from minireason.errors import MinireasonError

T = TypeVar("T")

PATIENCE = timedelta(days=30)
"""One process may sample for days while the others wait; who dies is noticed by who started it."""


@dataclass(frozen=True, slots=True)
class World:
    """`size` processes, of which this one is number `rank`; rank 0 writes the files."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    size_of_machine: int = 1
    group: Any = None
    """Of torch.distributed, for the messages; None is the one that all share."""

    def apart(self) -> World:
        """The same processes with messages of their own, for a thread beside the main one.

        Every process must call it.
        """
        if self.size == 1:
            return self
        import torch.distributed as dist

        return replace(self, group=dist.new_group(backend="gloo", timeout=PATIENCE))

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def wait(self) -> None:
        """Go on once every process is here."""
        self.gather(None)

    def gather(self, value: T) -> list[T]:
        """Every process's value, by rank."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value, group=self.group)
        return found

    def of_main(self, work: Callable[[], T]) -> T:
        """Do the work in the main process alone; every process gets its result, or its error."""
        if self.size == 1:
            return work()
        import torch.distributed as dist

        outcome: list[Any] = [None, None]
        if self.is_main:
            try:
                outcome[0] = work()
            except (Exception, KeyboardInterrupt) as error:
                outcome[1] = error
        dist.broadcast_object_list(outcome, group=self.group)
        if outcome[1] is not None:
            outcome[1].is_of_main = not self.is_main  # who reports errors, reports this one once
            raise outcome[1]
        result: T = outcome[0]
        return result


ALONE = World()


def join() -> World:
    """The world that the environment names, after meeting its other processes."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return ALONE
    import torch
    import torch.distributed as dist

    local = (int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", size)))
    world = World(int(os.environ["RANK"]), size, *local)
    if not dist.is_available():
        raise MinireasonError("this torch has no torch.distributed; run with one process")
    has_cuda = torch.cuda.is_available()
    if has_cuda:
        if world.size_of_machine > torch.cuda.device_count():
            raise MinireasonError(
                f"{world.size_of_machine} processes on this machine and "
                f"{torch.cuda.device_count()} CUDA devices; start at most one for each, "
                "or hide the devices (CUDA_VISIBLE_DEVICES=) to train on the CPU"
            )
        torch.cuda.set_device(world.local_rank)
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if has_cuda else "gloo", timeout=PATIENCE)
    return world


def leave() -> None:
    """Part from the other processes."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()
