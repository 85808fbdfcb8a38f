"""Sampling by all processes of a world: the main one leads, the others sample what it hands them.

The leader's code is the code of one process. What it asks of its engine is cut into even parts,
each process samples one with its own copy of the model, and the leader gets all of it in order.
Requests carry their seeds, so who samples one does not change it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import FrameType
from typing import Any, Generic, NoReturn, TypeVar

from minireason.rollout.engine import Completion, Engine, OnFinish, Request
from minireason.rollout.policy import PolicyTeacher
from minireason.world import World

T = TypeVar("T")
Parts = Sequence[Sequence[Request]]
Outcome = list[Completion] | BaseException


def lead(world: World, policy: PolicyTeacher, work: Callable[[], T]) -> T:
    """Do the work in the main process alone, and what it samples with the policy in all.

    Every process must call it, with the same weights, and gets the result or the error.
    """
    if world.size == 1:
        return work()
    crew = Crew(world, policy.engine)
    if not world.is_main:
        result: T = crew.serve()
        return result
    policy.generate = crew.generate
    try:
        return world.of_main(lambda: _Done(work())).result
    finally:
        policy.generate = policy.engine.generate


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    """The leader's last word."""

    result: T


class Crew:
    """The engines of all processes as one."""

    def __init__(self, world: World, engine: Engine) -> None:
        self.world, self.engine = world, engine

    def generate(
        self, requests: Sequence[Request], on_finish: OnFinish | None = None
    ) -> list[Completion]:
        """In the leader: `Engine.generate` with all processes.

        Raises what it raises in any of them. `on_finish` is called when all are done.
        """
        self.engine.check(requests)
        with Interrupts() as interrupts:
            parts = self.world.of_main(lambda: even_parts(requests, self.world.size))
            outcomes = self._sample(parts, interrupts)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        if interrupts.is_asked:
            raise KeyboardInterrupt
        completions = [c for part in outcomes if isinstance(part, list) for c in part]
        if on_finish is not None:
            for index, completion in enumerate(completions):
                on_finish(index, completion)
        return completions

    def serve(self) -> Any:
        """In the others: sample what the leader asks for until it is done; its result or error."""
        with Interrupts() as interrupts:
            while not isinstance(word := self._leaders_word(), _Done):
                self._sample(word, interrupts)
        return word.result

    def _leaders_word(self) -> Parts | _Done[Any]:
        def in_the_leader() -> NoReturn:
            raise AssertionError("the leader serves nobody")

        return self.world.of_main(in_the_leader)

    def _sample(self, parts: Parts, interrupts: Interrupts) -> list[Outcome]:
        """What every process made of its part."""
        mine: Outcome
        try:
            interrupts.may_stop()
            mine = self.engine.generate(parts[self.world.rank])
            interrupts.must_wait()
        except (Exception, KeyboardInterrupt) as error:
            interrupts.must_wait()
            mine = error
        return self.world.gather(mine)


def even_parts(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """`size` runs of the items, none longer than another by more than one.

    Of requests, a cut through a group of equal prompts costs one prefill more.
    """
    cuts = [len(items) * rank // size for rank in range(size + 1)]
    return [items[start:stop] for start, stop in pairwise(cuts)]


class Interrupts:
    """Ctrl-C stops the sampling at once and waits while processes talk.

    Half a message would leave the others waiting for the rest of it. Outside the main thread
    signals are left alone.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self._is_sampling = False
        self._previous: Any = None

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def may_stop(self) -> None:
        """From here on Ctrl-C is a KeyboardInterrupt, also one that came before."""
        self._is_sampling = True
        if self.is_asked:
            raise KeyboardInterrupt

    def must_wait(self) -> None:
        self._is_sampling = False

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.is_asked = True
        if self._is_sampling:
            self._is_sampling = False
            raise KeyboardInterrupt
