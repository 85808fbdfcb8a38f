"""Ctrl-C during training: finish the step, save, then stop. A second one stops at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class Interrupt:
    """Whether the user has asked to stop."""

    is_requested = False


@contextlib.contextmanager
def finish_step_on_interrupt() -> Iterator[Interrupt]:
    """Turn the first SIGINT into a request, which becomes a KeyboardInterrupt at the end.

    Outside the main thread signals are left alone.
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def request(_signal: int, _frame: FrameType | None) -> None:
        interrupt.is_requested = True
        signal.signal(signal.SIGINT, previous)

    previous = signal.signal(signal.SIGINT, request)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, previous)
    if interrupt.is_requested:
        raise KeyboardInterrupt
