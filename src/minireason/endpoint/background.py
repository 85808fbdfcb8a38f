"""An asynchronous producer as a plain iterator."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

T = TypeVar("T")


def emitted(produce: Callable[[Callable[[T], None]], Awaitable[None]]) -> Iterator[T]:
    """Run `produce(emit)` in an event loop of its own thread and yield what it emits.

    The producer goes on while the consumer works. Its exception is raised here after everything
    emitted before. Closing the iterator, or Ctrl-C while it waits, cancels the producer and waits
    until it has cleaned up.
    """
    items: queue.SimpleQueue[tuple[T] | None] = queue.SimpleQueue()  # None: nothing more comes
    loop = asyncio.new_event_loop()

    async def main() -> None:
        await produce(lambda item: items.put((item,)))

    task = loop.create_task(main())

    def run() -> None:
        try:
            loop.run_until_complete(asyncio.wait([task]))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            items.put(None)

    thread = threading.Thread(target=run, name="minireason-sampling", daemon=True)
    thread.start()
    try:
        while (item := items.get()) is not None:
            yield item[0]
        task.result()
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()
        if not task.cancelled():
            task.exception()  # marks it as seen where the consumer left before it was raised
