"""The embedded sampler: batched decoding with a key-value cache and continuous batching.

It runs the very model that is being trained, with no copy of the weights. A finished sequence
leaves the batch at once and a waiting one takes its place; when nothing waits, the batch shrinks.
Equal prompts (the samples of a group) share one prefill.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel

from minireason.errors import SamplingError
from minireason.model.attention import ATTENTION
from minireason.rollout.batch import LiveBatch
from minireason.rollout.cache import PromptCache, SlotCache
from minireason.rollout.logits import sample
from minireason.rollout.request import Completion, OnFinish, Request

PREFILL_TOKENS = 8192  # padded prompt tokens in one forward: bounds the activations and the mask
SPAN = 32  # attention reads the cache up to the longest live sequence, rounded up to this


class Engine:
    """Samples from a live model. `max_batch` sequences decode at a time.

    `max_length` bounds prompt plus response (default: the model's `max_position_embeddings`).
    The cache holds at most `max_batch` times the longest total length that is reached.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        stop_ids: Collection[int],
        max_batch: int = 64,
        max_length: int | None = None,
    ) -> None:
        implementation = model.config._attn_implementation
        if implementation != ATTENTION:
            raise SamplingError(
                f"the model's attention is {implementation!r}; the sampler needs {ATTENTION!r}: "
                f"load with attn_implementation={ATTENTION!r}"
            )
        if max_batch < 1:
            raise SamplingError(f"max_batch is {max_batch}; it must be 1 or more")
        self.model = model
        self.stop_ids = frozenset(stop_ids)
        self.max_batch = max_batch
        if max_length is None:
            max_length = int(model.config.max_position_embeddings)
        self.max_length = max_length

    def generate(
        self, requests: Sequence[Request], on_finish: OnFinish | None = None
    ) -> list[Completion]:
        """Sample every request; return the completions in the order of the requests.

        `on_finish(index, completion)` is called as each one finishes. Raises SamplingError, before
        anything is sampled, for a request that cannot be served.
        """
        self.check(requests)
        if not requests:
            return []
        with _evaluating(self.model):
            return _Run(self, requests, on_finish).finish()

    def load_weights(self, model: PreTrainedModel) -> None:
        """Take the weights of another model that was loaded like this one; its own are there."""
        if model is self.model:
            return
        with torch.no_grad():
            for mine, theirs in zip(self.model.parameters(), model.parameters(), strict=True):
                mine.copy_(theirs)

    def check(self, requests: Sequence[Request]) -> None:
        """Raise SamplingError for a request that cannot be served."""
        for index, request in enumerate(requests):
            self._check(index, request)

    def _check(self, index: int, request: Request) -> None:
        length, limit = len(request.prompt_ids), self.max_length
        if not length:
            raise SamplingError(f"request {index} has an empty prompt; it needs at least one token")
        total = length + request.params.max_tokens
        if total > limit:
            raise SamplingError(
                f"request {index} needs {total} positions ({length} prompt + "
                f"{request.params.max_tokens} response), the limit is {limit}; "
                "lower max_tokens, shorten the prompt or raise max_length"
            )
        vocabulary = int(self.model.config.vocab_size)
        if not 0 <= min(request.prompt_ids) <= max(request.prompt_ids) < vocabulary:
            raise SamplingError(
                f"request {index} has a token id outside 0..{vocabulary - 1}; "
                "was it made with another model's tokenizer?"
            )


@dataclass(slots=True)
class _Prompts:
    """Prefilled prompts: their left-padded keys and values and the logits after each."""

    cache: PromptCache
    lengths: torch.Tensor
    logits_BV: torch.Tensor

    def row(self, row: int) -> _Prompts:
        only = slice(row, row + 1)
        return _Prompts(self.cache.row(row), self.lengths[only], self.logits_BV[only].clone())


class _Run:
    """One call of `generate`: who waits, who is alive, who is done."""

    def __init__(
        self, engine: Engine, requests: Sequence[Request], on_finish: OnFinish | None
    ) -> None:
        self.model, self.device = engine.model, engine.model.device
        self.on_finish = on_finish
        self.stop_ids = np.array(sorted(engine.stop_ids), dtype=np.int64)
        self.max_batch = min(engine.max_batch, len(requests))
        self.batch = LiveBatch([r.params for r in requests], self.max_batch, self.device)
        self.bound = max(len(r.prompt_ids) + r.params.max_tokens for r in requests)
        self.cache: SlotCache | None = None
        self.waiting: dict[tuple[int, ...], list[int]] = {}  # prompt -> requests, first come first
        for index, request in enumerate(requests):
            self.waiting.setdefault(tuple(request.prompt_ids), []).append(index)
        self.num_waiting = len(requests)
        self.lost_steps = 0.0  # decoding steps that free slots lost since the batch was last full
        self.held: _Prompts | None = None  # the prefill of the first prompt, some requests admitted
        self.done: list[Completion | None] = [None] * len(requests)

    def finish(self) -> list[Completion]:
        while self.num_waiting or self.batch.num_rows:
            if self._is_time_to_admit():
                self._admit()
            else:
                self._decode()
        return [completion for completion in self.done if completion is not None]

    def _is_time_to_admit(self) -> bool:
        """A prefill costs about a decoding step: admit when free slots have lost as much."""
        free = min(self.max_batch - self.batch.num_rows, self.num_waiting)
        return free > 0 and (self.lost_steps >= 1 or not self.batch.num_rows)

    def _admit(self) -> None:
        """Give free slots to waiting requests, and sample the first token of each."""
        taken = self._take()
        prompts = self.held or self._prefill([prompt for prompt, _ in taken])
        source = [row for row, (_, members) in enumerate(taken) for _ in members]
        last = taken[-1][0]
        self.held = prompts.row(len(taken) - 1) if last in self.waiting else None
        rows = self.batch.add(
            [request for _, members in taken for request in members],
            [len(prompt) for prompt, members in taken for _ in members],
        )
        source_B = torch.tensor(source, device=self.device)
        cache = self._room_for(self.batch.longest, prompts.cache)
        cache.admit(rows.start, prompts.cache, source_B, prompts.lengths[source_B])
        if rows.stop == self.max_batch:
            self.lost_steps = 0.0
        self._sample(rows, prompts.logits_BV[source_B])

    def _take(self) -> list[tuple[tuple[int, ...], list[int]]]:
        """Waiting requests by prompt: as many as fit the free slots and one prefill."""
        free = self.max_batch - self.batch.num_rows
        taken: list[tuple[tuple[int, ...], list[int]]] = []
        width = 0
        for prompt, members in self.waiting.items():
            width = max(width, len(prompt))
            is_too_much = width * (len(taken) + 1) > PREFILL_TOKENS
            if not free or (taken and (is_too_much or self.held)):
                break
            taken.append((prompt, members[:free]))
            free -= len(taken[-1][1])
        for prompt, members in taken:
            self.num_waiting -= len(members)
            del self.waiting[prompt][: len(members)]
            if not self.waiting[prompt]:
                del self.waiting[prompt]
        return taken

    def _prefill(self, prompts: Sequence[Sequence[int]]) -> _Prompts:
        """One forward over left-padded prompts: every prompt ends at the last position."""
        width = max(len(prompt) for prompt in prompts)
        padded = [[prompt[0]] * (width - len(prompt)) + list(prompt) for prompt in prompts]
        lengths = torch.tensor([len(prompt) for prompt in prompts], device=self.device)
        column = torch.arange(width, device=self.device)
        position = column - (width - lengths)[:, None]
        is_causal = column[:, None] >= column
        mask = is_causal & (position >= 0)[:, None, :]
        mask |= torch.eye(width, dtype=torch.bool, device=self.device)  # padding: no empty row
        cache = PromptCache()
        tokens = torch.tensor(padded, device=self.device)
        logits_BV = self._forward(tokens, position.clamp(min=0), mask[:, None], cache)
        return _Prompts(cache, lengths, logits_BV)

    def _decode(self) -> None:
        """Feed the last token of every live sequence and sample the next."""
        batch = self.batch
        live = slice(0, batch.num_rows)
        cache = self._room_for(batch.longest)
        span = min(-(-batch.longest // SPAN) * SPAN, cache.length)
        position = batch.position[live]
        cache.step(position, span)
        mask = torch.arange(span, device=self.device) <= position[:, None]
        logits_BV = self._forward(
            batch.last[live, None], position[:, None], mask[:, None, None], cache
        )
        batch.advance()
        self.lost_steps += 1 - batch.num_rows / self.max_batch
        self._sample(live, logits_BV)

    def _forward(
        self,
        tokens_BT: torch.Tensor,
        position_BT: torch.Tensor,
        mask_B1TK: torch.Tensor,
        cache: PromptCache | SlotCache,
    ) -> torch.Tensor:
        """The logits after the last token of each row [B, V]."""
        return self.model(
            input_ids=tokens_BT,
            position_ids=position_BT,
            attention_mask=mask_B1TK,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]

    def _sample(self, rows: slice, logits_BV: torch.Tensor) -> None:
        """Sample a token for each of the rows, then let the finished ones go."""
        drawn = sample(logits_BV, self.batch.settings.rows(rows))
        tokens, logprobs = self.batch.append(rows, *drawn)
        if not np.isfinite(logprobs).all():
            raise SamplingError("the model gave logits that are not finite; its weights are broken")
        is_stop = np.isin(tokens, self.stop_ids)
        is_over = is_stop | self.batch.is_full(rows)
        if is_over.any():
            self._retire(rows.start + is_over.nonzero()[0], is_stop[is_over])

    def _retire(self, rows: np.ndarray, is_stop: np.ndarray) -> None:
        for row, stopped in zip(rows, is_stop, strict=True):
            request, tokens, logprobs = self.batch.result(row)
            completion = Completion(tokens, logprobs, "stop" if stopped else "length")
            self.done[request] = completion
            if self.on_finish is not None:
                self.on_finish(request, completion)
        moved, there = self.batch.remove(rows)
        if len(moved) and self.cache is not None:
            self.cache.move(moved, there)

    def _room_for(self, length: int, like: PromptCache | None = None) -> SlotCache:
        """The cache with slots of at least `length`; it doubles, up to what the requests need."""
        if self.cache is None:
            assert like is not None
            self.cache = SlotCache(like, self.max_batch, min(self.bound, max(2 * length, 256)))
        elif length > self.cache.length:
            self.cache.grow(min(self.bound, 2 * length))
        return self.cache


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Evaluation mode and no gradients; afterwards each module is in the mode it was in.

    `no_grad` and not `inference_mode`: a rotary embedding may store a tensor in the model.
    """
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
