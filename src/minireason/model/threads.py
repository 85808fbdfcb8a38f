"""CPU threads of torch.

A thread that waits for the others can spin or sleep. Spinning is faster on an idle machine and
slower beside another job; `cli` lets it spin for 5,000 turns, before torch is first imported.
`OMP_WAIT_POLICY` in the environment overrules it.
"""

from __future__ import annotations

from typing import Any

import torch


def use_threads(num_threads: int) -> None:
    """Set the threads of every operator; results repeat bit for bit at 1."""
    torch.set_num_threads(num_threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    deterministic: Any = torch.utils.deterministic
    deterministic.fill_uninitialized_memory = False  # nothing here reads it
