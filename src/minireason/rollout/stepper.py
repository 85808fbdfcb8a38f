"""Engines of this machine that sample a token a step, whatever runs the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from minireason.rollout.request import Completion, OnFinish, Request, TokenEvent


class Stepper(Protocol):
    """Samples many requests, a token a step; `add` and `cancel` may come from any thread."""

    @property
    def is_idle(self) -> bool: ...

    def add(self, request: Request) -> int:
        """The request's number, counting from 0. Raises SamplingError for one it cannot serve."""
        ...

    def cancel(self, number: int) -> None: ...

    def step(self) -> list[TokenEvent]: ...


class SteppedEngine(Protocol):
    """The embedded engine, or an exported model's."""

    max_length: int
    """Longest prompt plus response, in tokens."""

    @property
    def max_batch(self) -> int:
        """Sequences sampled at a time."""
        ...

    def generate(
        self, requests: Sequence[Request], on_finish: OnFinish | None = None
    ) -> list[Completion]:
        """Sample every request; the completions are in the order of the requests.

        `on_finish(index, completion)` is called as each one finishes. Raises SamplingError, before
        anything is sampled, for a request that cannot be served.
        """
        ...

    def stream(self, request: Request) -> Iterator[TokenEvent]:
        """The tokens of one request as they come; closing the iterator ends it.

        Raises SamplingError at once for a request that cannot be served.
        """
        ...

    def scheduler(self) -> Stepper:
        """The steps of this engine, for a caller that adds requests while others run."""
        ...


def generate_all(
    stepper: Stepper, requests: Sequence[Request], on_finish: OnFinish | None = None
) -> list[Completion]:
    """`SteppedEngine.generate` with a new stepper."""
    for request in requests:
        stepper.add(request)
    done: dict[int, Completion] = {}
    while not stepper.is_idle:
        for event in stepper.step():
            if event.completion is not None:
                done[event.number] = event.completion
                if on_finish is not None:
                    on_finish(event.number, event.completion)
    return [done[number] for number in range(len(requests))]


def stream_one(stepper: Stepper, request: Request) -> Iterator[TokenEvent]:
    """`SteppedEngine.stream` with a new stepper."""
    number = stepper.add(request)

    def events() -> Iterator[TokenEvent]:
        try:
            while not stepper.is_idle:
                yield from stepper.step()
        finally:
            stepper.cancel(number)

    return events()
