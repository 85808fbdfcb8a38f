"""The embedded sampler: batched decoding with a key-value cache and continuous batching.

It runs the very model that is being trained, with no copy of the weights. How it goes about it
stands in `scheduler` and in docs/sampler.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import torch
from transformers import PreTrainedModel

from minireason.rollout.evaluating import evaluating
from minireason.rollout.request import Completion, OnFinish, Request, TokenEvent
from minireason.rollout.sampled_model import SampledModel
from minireason.rollout.scheduler import Scheduler
from minireason.rollout.stepper import generate_all, stream_one
from minireason.rollout.stopping import Reader


class Engine:
    """Samples from a live model. `max_batch` sequences decode at a time.

    `max_length` bounds prompt plus response (default: the model's `max_position_embeddings`),
    `cache_gib` the memory of all keys and values (0: what `max_batch` sequences come to need, on
    CUDA at most half of what is free); where it is full, the youngest sequences wait. `reader` is
    needed for requests with stop texts or a thinking budget. `num_preemptions` counts how often a
    sequence had to wait again.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        stop_ids: Collection[int],
        max_batch: int = 64,
        max_length: int | None = None,
        cache_gib: float = 0.0,
        reader: Reader | None = None,
    ) -> None:
        if max_length is None:
            max_length = int(model.config.max_position_embeddings)
        self.model, self.max_length = model, max_length
        self.sampled = SampledModel(
            model, frozenset(stop_ids), max_batch, max_length, cache_gib, reader or Reader()
        )
        self.num_preemptions = 0

    def generate(
        self, requests: Sequence[Request], on_finish: OnFinish | None = None
    ) -> list[Completion]:
        """Sample every request; return the completions in the order of the requests.

        `on_finish(index, completion)` is called as each one finishes. Raises SamplingError, before
        anything is sampled, for a request that cannot be served.
        """
        scheduler = self.scheduler()
        with evaluating(self.model):
            completions = generate_all(scheduler, requests, on_finish)
        self.num_preemptions += scheduler.num_preemptions
        return completions

    def stream(self, request: Request) -> Iterator[TokenEvent]:
        """The tokens of one request as they come; closing the iterator ends it.

        Raises SamplingError at once for a request that cannot be served. Requests that share their
        steps, as those of a server do, are added to one `scheduler()`.
        """
        return stream_one(self.scheduler(), request)

    @property
    def max_batch(self) -> int:
        """Sequences sampled at a time."""
        return self.sampled.max_batch

    def scheduler(self) -> Scheduler:
        """The steps of this engine, for a caller that adds requests while others run."""
        return Scheduler(self.sampled)

    def load_weights(self, model: PreTrainedModel) -> None:
        """Take the weights of another model that was loaded like this one; its own are there."""
        if model is self.model:
            return
        with torch.no_grad():
            for mine, theirs in zip(self.model.parameters(), model.parameters(), strict=True):
                mine.copy_(theirs)

    def check(self, requests: Sequence[Request]) -> None:
        """Raise SamplingError for a request that cannot be served."""
        budget = self.sampled.budget()
        for index, request in enumerate(requests):
            self.sampled.check(index, request, budget)
