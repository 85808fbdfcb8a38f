"""The logits behind given ids, of an original or an export: some positions at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from minireason.edge.engine import EdgeEngine
from minireason.edge.runtime import Runtime
from minireason.export.agreement import rows_per_block
from minireason.model.head import declared_form
from minireason.model.packed import hidden_states
from minireason.rollout.engine import Engine
from minireason.rollout.evaluating import evaluating
from minireason.rollout.stepper import SteppedEngine

Blocks = Iterator[NDArray[np.float32]]


class LogitSource(Protocol):
    """A loaded model that is fed one sequence at a time."""

    vocab_size: int
    max_length: int

    def blocks(self, ids: Sequence[int], begin: int) -> Blocks:
        """The logits [T', V] behind ids[begin:], `rows_per_block(vocab_size)` rows at a time."""
        ...


class RuntimeLogits:
    """An exported model's runtime, which gives all the logits of a sequence at once."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.vocab_size, self.max_length = runtime.vocab_size, runtime.max_length

    def blocks(self, ids: Sequence[int], begin: int) -> Blocks:
        logits_TV = self.runtime.logits(ids)[begin:]
        size = rows_per_block(self.vocab_size)
        yield from (logits_TV[start : start + size] for start in range(0, len(logits_TV), size))


class ModelLogits:
    """A loaded transformers model: hidden states of the sequence, logits of a block."""

    def __init__(self, model: Any, max_length: int) -> None:
        self.model, self.max_length = model, max_length
        self.vocab_size = int(model.config.get_text_config().vocab_size)
        self._form = declared_form(model.config)

    def blocks(self, ids: Sequence[int], begin: int) -> Blocks:
        hidden_TD = self._hidden(ids)[begin:]
        yield from map(self._logits, hidden_TD.split(rows_per_block(self.vocab_size)))

    def _hidden(self, ids: Sequence[int]) -> torch.Tensor:
        ids_1T = torch.tensor([list(ids)], device=self.model.device)
        columns_T = torch.arange(len(ids), device=self.model.device)
        with evaluating(self.model):
            return hidden_states(
                self.model,
                ids_1T,
                columns_T[None],
                torch.ones_like(ids_1T),
                torch.zeros_like(columns_T),
                columns_T,
            )

    def _logits(self, hidden_CD: torch.Tensor) -> NDArray[np.float32]:
        with evaluating(self.model):
            logits_CV = self._form.logits(self.model.get_output_embeddings()(hidden_CD).float())
        logits: NDArray[np.float32] = logits_CV.cpu().numpy()
        return logits


def open_logits(engine: SteppedEngine) -> LogitSource:
    """The logits of what an engine runs."""
    if isinstance(engine, EdgeEngine):
        return RuntimeLogits(engine.runtime)
    assert isinstance(engine, Engine)
    return ModelLogits(engine.model, engine.max_length)
