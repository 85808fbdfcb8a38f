"""Many requests to one server: each result as it comes, one failure never ends the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from minireason.endpoint.background import emitted
from minireason.endpoint.reply import Reply
from minireason.endpoint.server import Endpoint
from minireason.endpoint.session import Request, RequestFailedError, Session
from minireason.endpoint.usage import Usage
from minireason.errors import SamplingError

if TYPE_CHECKING:
    import httpx

Key = TypeVar("Key")

MOST_FAILURES_IN_A_ROW = 20


@dataclass(frozen=True, slots=True)
class Asked(Generic[Key]):
    """What became of a request: its reply, or None and why."""

    key: Key
    reply: Reply | None
    failure: str
    usage: Usage


def ask_all(
    endpoint: Endpoint,
    requests: Iterable[tuple[Key, Request]],
    keep: Callable[[Asked[Key]], None] = lambda asked: None,
) -> Iterator[Asked[Key]]:
    """Send the requests, started in their order, and yield what became of each.

    `keep` is called with each result the moment it is there, in the thread that asks: what it has
    stored is safe from whatever happens to the consumer. Raises SamplingError where the server
    refuses all (key, URL, model), cannot be reached at first, or fails
    `MOST_FAILURES_IN_A_ROW` requests with no success in between. Closing the iterator cancels
    what is running.
    """

    async def produce(emit: Callable[[Asked[Key]], None]) -> None:
        def finish(asked: Asked[Key]) -> None:
            keep(asked)
            emit(asked)

        await _Crew(Session(endpoint), iter(requests), finish).work()

    return emitted(produce)


class _Crew(Generic[Key]):
    """As many workers as may ask at once; each takes the next request."""

    def __init__(
        self,
        session: Session,
        requests: Iterator[tuple[Key, Request]],
        finish: Callable[[Asked[Key]], None],
    ) -> None:
        self._session, self._requests, self._finish = session, requests, finish
        self._failures_in_a_row = 0

    async def work(self) -> None:
        size = self._session.endpoint.concurrency
        workers = [asyncio.create_task(self._work(is_first=n == 0)) for n in range(size)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self, is_first: bool) -> None:
        """The first one starts alone: where nobody listens, one request finds it out, not all."""
        if not is_first:
            await self._session.contact.wait()
        async with self._session.line() as line:
            for key, request in self._requests:
                asked = await self._ask(line, key, request)
                self._finish(asked)
                self._watch(asked)
        self._session.contact.set()

    async def _ask(self, line: httpx.AsyncClient, key: Key, request: Request) -> Asked[Key]:
        try:
            reply = await self._session.chat(line, request)
        except RequestFailedError as error:
            return Asked(key, None, str(error), error.usage)
        return Asked(key, reply, "", reply.usage)

    def _watch(self, asked: Asked[Key]) -> None:
        self._failures_in_a_row = 0 if asked.reply else self._failures_in_a_row + 1
        if self._failures_in_a_row >= MOST_FAILURES_IN_A_ROW:
            raise SamplingError(
                f"{self._session.endpoint.url} failed {MOST_FAILURES_IN_A_ROW} requests in a row, "
                f"at last by {asked.failure}; see that the server works, or lower the concurrency, "
                f"then run again to go on"
            )
