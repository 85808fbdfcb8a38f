"""Ctrl-C and SIGTERM: what they become, and how training finishes its step before it obeys."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from minireason.errors import Preempted
from minireason.world import World

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stopped_by(number: int) -> KeyboardInterrupt:
    """What a signal raises: Preempted for SIGTERM."""
    return Preempted() if number == signal.SIGTERM else KeyboardInterrupt()


class Interrupt:
    """Whether somebody has asked to stop, and by which signal."""

    signal: int = 0

    def agreed(self, world: World) -> bool:
        """Whether any process has been asked; from then on all of them have.

        What arrives while they agree stays for the next time.
        """
        seen = max(world.gather(self.signal))
        self.signal = self.signal or seen
        return seen != 0

    def stop(self) -> NoReturn:
        """Raises Preempted after SIGTERM, KeyboardInterrupt otherwise."""
        number, self.signal = self.signal, 0
        raise stopped_by(number)


@contextlib.contextmanager
def finish_step_on_interrupt() -> Iterator[Interrupt]:
    """Turn the first SIGINT or SIGTERM into a request; at the end, one that nobody saw is sent on.

    A second one stops at once. Outside the main thread signals are left alone.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def request(number: int, _frame: FrameType | None) -> None:
        interrupt.signal = number
        put_back()

    def put_back() -> None:
        for number, handler in previous.items():
            signal.signal(number, handler)

    previous = {number: signal.signal(number, request) for number in SIGNALS}
    try:
        yield interrupt
    finally:
        put_back()
    if interrupt.signal:
        signal.raise_signal(interrupt.signal)
