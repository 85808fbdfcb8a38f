"""Sampling by all processes of a world: the main one leads, the others sample what it hands them.

The leader's code is the code of one process. What it asks of its engine is cut into even parts,
each process samples one with its own copy of the model, and the leader gets all of it in order.
Requests carry their seeds, so who samples one does not change it.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import FrameType
from typing import Any, Generic, NoReturn, TypeVar

from minireason.interrupt import SIGNALS, stopped_by
from minireason.rollout.policy import PolicyTeacher
from minireason.rollout.request import Completion, OnFinish, Request, Sampler
from minireason.world import World

T = TypeVar("T")
Parts = Sequence[Sequence[Request]]
Outcome = list[Completion] | BaseException


def lead(world: World, policy: PolicyTeacher, work: Callable[[], T]) -> T:
    """Do the work in the main process alone, and what it samples with the policy in all.

    Every process must call it, with the same weights, and gets the result or the error: that of
    the work, or Preempted or KeyboardInterrupt where any process was asked to end.
    """
    if world.size == 1:
        return work()
    with Interrupts() as interrupts:
        crew = Crew(world, policy.engine, interrupts)
        policy.generate = crew.generate
        try:
            result: T = crew.lead(work) if world.is_main else crew.serve()
        finally:
            policy.generate = policy.engine.generate
        interrupts.agree(world)
    return result


@dataclass(frozen=True, slots=True)
class _Done(Generic[T]):
    """The leader's last word."""

    result: T


class Crew:
    """The engines of all processes as one."""

    def __init__(self, world: World, engine: Sampler, interrupts: Interrupts) -> None:
        self.world, self.engine, self.interrupts = world, engine, interrupts

    def lead(self, work: Callable[[], T]) -> T:
        """In the main process: do the work, then release the others, whatever came of it."""

        def whole() -> _Done[T]:
            with self.interrupts.allowed():
                return _Done(work())

        return self.world.of_main(whole).result

    def serve(self) -> Any:
        """In the others: sample what the leader asks for until it is done; its result or error."""
        while not isinstance(word := self._leaders_word(), _Done):
            self._sample(word)
        return word.result

    def generate(
        self, requests: Sequence[Request], on_finish: OnFinish | None = None
    ) -> list[Completion]:
        """In the leader's work: `Engine.generate` with all processes.

        Raises what it raises in any of them. `on_finish` is called when all are done.
        """
        self.engine.check(requests)
        with self.interrupts.held():
            parts = self.world.of_main(lambda: even_parts(requests, self.world.size))
            outcomes = self._sample(parts)
        completions: list[Completion] = []
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
            completions += outcome
        if on_finish is not None:
            for index, completion in enumerate(completions):
                on_finish(index, completion)
        return completions

    def _leaders_word(self) -> Parts | _Done[Any]:
        def in_the_leader() -> NoReturn:
            raise AssertionError("the leader serves nobody")

        return self.world.of_main(in_the_leader)

    def _sample(self, parts: Parts) -> list[Outcome]:
        """What every process made of its part."""
        mine: Outcome
        try:
            with self.interrupts.allowed():
                mine = self.engine.generate(parts[self.world.rank])
        except (Exception, KeyboardInterrupt) as error:
            mine = error
        return self.world.gather(mine)


def even_parts(items: Sequence[T], size: int) -> list[Sequence[T]]:
    """`size` runs of the items, none longer than another by more than one.

    Of requests, a cut through a group of equal prompts costs one prefill more.
    """
    cuts = [len(items) * rank // size for rank in range(size + 1)]
    return [items[start:stop] for start, stop in pairwise(cuts)]


class Interrupts:
    """Ctrl-C and SIGTERM: they stop work and sampling at once, and wait while processes talk.

    Half a message would leave the others waiting for the rest of it. Outside the main thread
    signals are left alone.
    """

    def __init__(self) -> None:
        self.asked: int = 0
        self._is_allowed = False
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._previous[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if kind is None and self.asked:  # nobody has seen it
            signal.raise_signal(self.asked)

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """Where a signal stops what is going on; so does one that has come before."""
        yield from self._while(True)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Where a signal waits until the end."""
        yield from self._while(False)

    def agree(self, world: World) -> None:
        """Stop every process where one was asked to."""
        asked = max(world.gather(self.asked))
        if asked:
            raise stopped_by(asked)

    def _while(self, is_allowed: bool) -> Iterator[None]:
        before = self._is_allowed
        self._set(is_allowed)
        try:
            yield
        except BaseException:
            self._is_allowed = before
            raise
        self._set(before)

    def _set(self, is_allowed: bool) -> None:
        self._is_allowed = is_allowed
        if is_allowed and self.asked:
            self._is_allowed = False
            raise stopped_by(self.asked)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        self.asked = number
        if self._is_allowed:
            self._is_allowed = False
            raise stopped_by(number)
