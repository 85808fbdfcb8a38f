"""The thread that owns the model: it steps while there is something to do, and sleeps else.

Clients' requests join the running batch from the event loop's thread; their tokens go back to it.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from minireason.errors import SamplingError
from minireason.rollout.request import Request, TokenEvent
from minireason.rollout.stepper import Stepper
from minireason.serve.errors import ApiError, shutting_down
from minireason.serve.metrics import Metrics

RETRY_AFTER_S = 1
TOLD_EVERY_S = 0.05  # a chunk to a client costs more than a token of a small model

log = logging.getLogger("minireason.serve")


class News(NamedTuple):
    """A token of one of a client's sequences."""

    choice: int
    event: TokenEvent


class Answering:
    """The sequences that a client's request asks for, on their way; used in the event loop."""

    def __init__(self, model: ModelLoop, num_sequences: int, wants_tokens: bool) -> None:
        self.wants_tokens, self._model = wants_tokens, model
        self._num_left = num_sequences
        self._queue: asyncio.Queue[News | ApiError] = asyncio.Queue()

    async def news(self) -> AsyncIterator[list[News]]:
        """All that has come since the last time, until every sequence has its completion.

        Of a request that wants no tokens, the completions alone. Raises ApiError where sampling
        failed or was ended.
        """
        while self._num_left:
            found = [await self._queue.get()]
            while not self._queue.empty():
                found.append(self._queue.get_nowait())
            come = []
            for one in found:
                if isinstance(one, ApiError):
                    raise one
                come.append(one)
                self._num_left -= one.event.completion is not None
            yield come

    def put(self, one: News | ApiError) -> None:
        self._queue.put_nowait(one)

    def cancel(self) -> None:
        """Give up what is not done; the places are free at once."""
        self._model.cancel(self)


@dataclass(slots=True)
class _Live:
    answering: Answering
    choice: int
    asked_at: float
    last_at: float | None = None  # when its last token came
    told_at: float = -math.inf
    untold: list[TokenEvent] = field(default_factory=list)

    def due(self, event: TokenEvent, now: float) -> list[TokenEvent]:
        """What its client hears now: the first and the last token at once, others in time."""
        if not self.answering.wants_tokens:
            return [event] if event.completion is not None else []
        self.untold.append(event)
        if event.completion is None and now - self.told_at < TOLD_EVERY_S:
            return []
        told, self.untold, self.told_at = self.untold, [], now
        return told


class ModelLoop:
    """Steps the model for all clients; `max_running` sequences at a time, `max_waiting` in line.

    A step that fails ends the requests that are in flight, with an error each, and a new stepper
    serves those that follow; where none can be opened, `failure` says what began it.
    """

    def __init__(
        self,
        open_stepper: Callable[[], Stepper],
        max_running: int,
        max_waiting: int,
        metrics: Metrics,
    ) -> None:
        self.capacity = max_running + max_waiting
        self.failure = ""
        self.is_draining = False
        self._open_stepper, self._stepper = open_stepper, open_stepper()
        self._metrics = metrics
        self._live: dict[int, _Live] = {}
        self._condition = threading.Condition()  # an RLock: guards the stepper and `_live`
        self._is_closed = self._is_dead = False
        self._events: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        metrics.watch(lambda: self.num_running, lambda: self.num_in_flight - self.num_running)

    def start(self) -> None:
        """Begin to step; called in the event loop that gets the tokens."""
        self._events = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """End what is in flight with an error, and the thread after its step."""
        self.abandon()
        with self._condition:
            self._is_closed = True
            self._condition.notify()
        self._thread.join()

    @property
    def num_in_flight(self) -> int:
        return len(self._live)

    @property
    def num_running(self) -> int:
        """Sequences that have a token."""
        with self._condition:
            return sum(live.last_at is not None for live in self._live.values())

    def submit(self, requests: Sequence[Request], wants_tokens: bool) -> Answering:
        """Put a client's sequences into the line.

        Raises ApiError: 429 where the line is full, 503 where the server ends, 400 for what the
        model cannot serve.
        """
        answering = Answering(self, len(requests), wants_tokens)
        with self._condition:
            self.check_room(len(requests))
            try:
                for index, request in enumerate(requests):
                    number = self._stepper.add(request)
                    self._live[number] = _Live(answering, index, time.perf_counter())
            except SamplingError as error:
                self.cancel(answering)
                raise ApiError(400, str(error)) from error
            self._condition.notify()
        return answering

    def cancel(self, answering: Answering) -> None:
        with self._condition:
            mine = [n for n, live in self._live.items() if live.answering is answering]
            for number in mine:
                del self._live[number]
                self._stepper.cancel(number)

    def drain(self) -> None:
        """Take no new requests; those in flight go on."""
        self.is_draining = True

    def abandon(self) -> None:
        """Take no new requests, and end those in flight."""
        self.drain()
        self._fail(shutting_down())

    def check_room(self, count: int) -> None:
        """Raise ApiError, as `submit` would, where so many sequences have no place now."""
        if self.is_draining:
            raise shutting_down()
        if self._is_dead:
            raise ApiError(503, f"the model has failed for good: {self.failure}")
        if count > self.capacity:
            raise ApiError(400, f"{count} sequences at once; at most {self.capacity}", param="n")
        if len(self._live) + count > self.capacity:
            raise ApiError(
                429,
                f"{len(self._live)} sequences are being sampled or wait; at most {self.capacity}, "
                "try again later",
                code="queue_full",
                headers={"Retry-After": str(RETRY_AFTER_S)},
            )

    def _run(self) -> None:
        while self._has_work():
            try:
                events = self._stepper.step()
            except Exception as error:
                log.exception("a step failed")
                reason = f"{type(error).__name__}: {error}"
            else:
                self._hand_out(events)
                continue
            self._start_anew(reason)  # here, where the error holds the old cache no longer

    def _has_work(self) -> bool:
        """Sleep until there is something to do; False when it is time to end."""
        with self._condition:
            self._condition.wait_for(lambda: self._is_ended or not self._stepper.is_idle)
            return not self._is_ended

    @property
    def _is_ended(self) -> bool:
        return self._is_closed or self._is_dead

    def _start_anew(self, reason: str) -> None:
        with self._condition:
            self._fail(ApiError(500, f"sampling failed: {reason}", code="sampling_failed"))
            try:
                del self._stepper  # its memory is what the next one may take
                self._stepper = self._open_stepper()
            except Exception:
                log.exception("the model cannot be used any more")
                self.failure, self._is_dead = reason, True

    def _fail(self, error: ApiError) -> None:
        with self._condition:
            lost = {live.answering for live in self._live.values()}
            for answering in lost:
                self.cancel(answering)
        self._tell([(answering, error) for answering in lost])

    def _hand_out(self, events: Sequence[TokenEvent]) -> None:
        now = time.perf_counter()
        told: list[tuple[Answering, News | ApiError]] = []
        with self._condition:
            for event in events:
                live = self._live.get(event.number)
                if live is None:  # cancelled during the step
                    continue
                self._metrics.token(now, live.asked_at, live.last_at)
                live.last_at = now
                if event.completion is not None:
                    del self._live[event.number]
                told += [(live.answering, News(live.choice, one)) for one in live.due(event, now)]
        self._tell(told)

    def _tell(self, told: Sequence[tuple[Answering, News | ApiError]]) -> None:
        if told and self._events is not None:
            self._events.call_soon_threadsafe(_put_all, told)


def _put_all(told: Sequence[tuple[Answering, News | ApiError]]) -> None:
    for answering, one in told:
        answering.put(one)
