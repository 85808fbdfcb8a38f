"""Continuous batching of an exported model, and drawing from its logits."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from minireason.edge.draw import draw
from minireason.edge.runtime import Logits, Runtime
from minireason.errors import SamplingError
from minireason.rollout.request import (
    Completion,
    OnFinish,
    Request,
    TokenEvent,
    check_request,
)
from minireason.rollout.sequence import LiveSequence
from minireason.rollout.stepper import generate_all, stream_one
from minireason.rollout.stopping import Reader


class EdgeEngine:
    """Samples from an exported model, with the settings and the seeds of the embedded engine.

    One scheduler at a time has the runtime's places: a new one ends what an earlier one had, whose
    next step raises SamplingError.
    """

    def __init__(self, runtime: Runtime, stop_ids: Collection[int], reader: Reader) -> None:
        self.runtime, self.stop_ids, self.reader = runtime, frozenset(stop_ids), reader
        self.max_batch, self.max_length = runtime.max_batch, runtime.max_length
        self.lock, self.num_schedulers = threading.RLock(), 0  # the lock guards the runtime

    def generate(
        self, requests: Sequence[Request], on_finish: OnFinish | None = None
    ) -> list[Completion]:
        """Sample every request; return the completions in the order of the requests.

        `on_finish(index, completion)` is called as each one finishes. Raises SamplingError, before
        anything is sampled, for a request that cannot be served.
        """
        with self.lock:  # threads wait for one another
            return generate_all(self.scheduler(), requests, on_finish)

    def stream(self, request: Request) -> Iterator[TokenEvent]:
        """The tokens of one request as they come; closing the iterator ends it.

        Raises SamplingError at once for a request that cannot be served.
        """
        return stream_one(self.scheduler(), request)

    def scheduler(self) -> EdgeScheduler:
        """The steps of this engine, for a caller that adds requests while others run."""
        return EdgeScheduler(self)


@dataclass(slots=True, eq=False)
class _Live:
    sequence: LiveSequence
    logits_V: Logits
    seen: set[int] | None = None  # tokens that the repetition penalty is of
    stop_ids: list[int] = field(default_factory=list)

    def draw(self) -> TokenEvent:
        """The next token; the last one carries the completion."""
        sequence = self.sequence
        params, step = sequence.request.params, len(sequence.token_ids)
        drawn = draw(self.logits_V, params, step, self._adjusted(), sequence.next_forced)
        if self.seen is not None:
            self.seen.add(drawn.token)
        reason = sequence.append(*drawn)
        completion = sequence.completion(reason) if reason is not None else None
        return TokenEvent(
            sequence.number, drawn.token, drawn.logprob, completion, drawn.raw_logprob
        )

    def _adjusted(self) -> Logits | None:
        """The logits to draw from, or None where they are the model's own."""
        if self.seen is None and not self.sequence.forbids_stops:
            return None
        adjusted_V = self.logits_V.copy()
        if self.seen is not None:
            penalty = np.float32(self.sequence.request.params.repetition_penalty)
            seen = np.fromiter(self.seen, dtype=np.int64)
            own = adjusted_V[seen]
            adjusted_V[seen] = np.where(own < 0, own * penalty, own / penalty)
        if self.sequence.forbids_stops:
            adjusted_V[self.stop_ids] = -np.inf
        return adjusted_V


class EdgeScheduler:
    """Steps the requests of an engine. `add` and `cancel` may be called from any thread."""

    def __init__(self, engine: EdgeEngine) -> None:
        self.engine = engine
        self._live: dict[int, _Live] = {}  # by place
        self._numbers = itertools.count()
        self._arrived: deque[LiveSequence] = deque()
        self._waiting: deque[LiveSequence] = deque()
        self._cancelled: deque[int] = deque()
        with engine.lock:
            engine.num_schedulers += 1
            self._turn = engine.num_schedulers
            for place in range(engine.max_batch):
                engine.runtime.end(place)

    def add(self, request: Request) -> int:
        """Put a request into the line and return its number, which counts from 0.

        Raises SamplingError for a request that cannot be served.
        """
        engine, number = self.engine, next(self._numbers)
        check_request(number, request, engine.max_length, engine.runtime.vocab_size)
        engine.reader.check(number, request.params)
        stop_ids = engine.stop_ids | frozenset(request.params.stop_ids)
        if wrong := [token for token in stop_ids if token >= engine.runtime.vocab_size]:
            raise SamplingError(
                f"stop token {wrong[0]} is outside 0..{engine.runtime.vocab_size - 1}"
            )
        self._arrived.append(LiveSequence(number, request, stop_ids, engine.reader))
        return number

    def cancel(self, number: int) -> None:
        """Drop a request, wherever it is; one that has finished already is none."""
        self._cancelled.append(number)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do."""
        return not (self._arrived or self._waiting or self._live)

    def step(self) -> list[TokenEvent]:
        """Sample the next token of every live sequence, and of one waiting request its first.

        Raises SamplingError where a newer scheduler has the places.
        """
        with self.engine.lock:
            if self._turn != self.engine.num_schedulers:
                raise SamplingError(
                    "the exported model was asked something else before this answer was whole, "
                    "which ended it; ask one after the other, or all together"
                )
            return self._step()

    def _step(self) -> list[TokenEvent]:
        self._take_in()
        runtime = self.engine.runtime
        if self._live:
            tokens = {place: live.sequence.token_ids[-1] for place, live in self._live.items()}
            for place, logits_V in runtime.step(tokens).items():
                self._live[place].logits_V = logits_V
        if self._waiting and len(self._live) < self.engine.max_batch:
            self._admit(self._waiting.popleft())
        return [self._drawn(place) for place in list(self._live)]

    def _admit(self, sequence: LiveSequence) -> None:
        place = next(n for n in range(self.engine.max_batch) if n not in self._live)
        prompt_ids, params = sequence.request.prompt_ids, sequence.request.params
        longest = len(prompt_ids) + params.max_tokens
        logits_V = self.engine.runtime.begin(place, prompt_ids, longest)
        seen = set(prompt_ids) if params.repetition_penalty != 1 else None
        self._live[place] = _Live(sequence, logits_V, seen, sorted(sequence.stop_ids))

    def _drawn(self, place: int) -> TokenEvent:
        event = self._live[place].draw()
        if event.completion is not None:
            self._free(place)
        return event

    def _take_in(self) -> None:
        """What other threads asked for since the last step, the cancelled first: no number is
        forgotten before its request is there."""
        gone = {self._cancelled.popleft() for _ in range(len(self._cancelled))}
        while self._arrived:
            self._waiting.append(self._arrived.popleft())
        if not gone:
            return
        self._waiting = deque(one for one in self._waiting if one.number not in gone)
        for place in [n for n, live in self._live.items() if live.sequence.number in gone]:
            self._free(place)

    def _free(self, place: int) -> None:
        del self._live[place]
        self.engine.runtime.end(place)
