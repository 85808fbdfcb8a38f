"""CPU threads of torch. Two spinning threads beside another job run far slower than one, so
waiting threads sleep: `OMP_WAIT_POLICY` is set before torch is first imported (see `cli`)."""

from __future__ import annotations

import torch


def use_threads(num_threads: int) -> None:
    """Set the threads of every operator; results repeat bit for bit at 1."""
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
