"""Open connections to a server: requests, their retries, and the pauses all of them keep."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from minireason.endpoint.reply import Reply, UnreadableReplyError
from minireason.endpoint.retry import Fault, backoff_wait_s, fault_of, jitter
from minireason.endpoint.server import Endpoint, without_key
from minireason.endpoint.usage import Usage
from minireason.errors import SamplingError

if TYPE_CHECKING:
    import httpx

Request = Mapping[str, Any]

LONGEST_CONNECT_S = 30.0
LARGEST_REPLY = 64 * 2**20  # bytes; 100,000 tokens with their log-probabilities are a third of it
SHOWN = 500


class RequestFailedError(SamplingError):
    """One request failed for good; others may not. `usage` counts its tries."""

    def __init__(self, reason: str, usage: Usage) -> None:
        super().__init__(reason)
        self.usage = usage


class Session:
    """Sends requests; `contact` is set once one has got through to a server.

    A rate limit with a time holds back every request, not only the one that met it. Those that
    meet a limit while others are answered do not use up their tries.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        import httpx

        self.endpoint = endpoint
        self.contact = asyncio.Event()
        self._key = endpoint.key()
        self._certificates = httpx.create_ssl_context()
        self._num_replies = 0
        self._draws = itertools.count()
        self._paused_until = 0.0  # in the event loop's time

    def line(self) -> httpx.AsyncClient:
        """A client of one connection: a pool of many looks at each of them for every request."""
        import httpx

        return httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
            timeout=httpx.Timeout(None, connect=LONGEST_CONNECT_S),
            limits=httpx.Limits(max_connections=1),
            verify=self._certificates,
        )

    async def chat(self, line: httpx.AsyncClient, request: Request) -> Reply:
        """The reply to a request body, sent on a line of its own.

        Raises RequestFailedError where this one failed for good, and any other SamplingError
        where every request would.
        """
        num_tries = num_counted = 0
        num_replies = self._num_replies
        while True:
            await self._pass_pause()
            result = await self._try(line, request)
            num_tries += 1
            usage = Usage(requests=num_tries, retries=num_tries - 1)
            if isinstance(result, Reply):
                self._num_replies += 1
                return replace(result, usage=usage + result.usage)
            if result.kind == "refusal":
                raise SamplingError(f"{self.endpoint.url} refused: {result.reason}")
            is_queueing = result.kind == "limit" and self._num_replies > num_replies
            num_counted += not is_queueing
            num_replies = self._num_replies
            self._pause(result.pause_s)
            if result.kind == "final" or num_counted > self.endpoint.max_retries:
                raise self._failed(result, usage)
            draw = next(self._draws)
            await asyncio.sleep(backoff_wait_s(num_tries - 1, self.endpoint.backoff_s, draw))

    def _failed(self, fault: Fault, usage: Usage) -> SamplingError:
        tries = "1 try" if usage.requests == 1 else f"{usage.requests} tries"
        if self.contact.is_set():
            return RequestFailedError(f"{fault.reason} ({tries})", usage)
        return SamplingError(
            f"{self.endpoint.url} gave no answer in {tries}, at last {fault.reason}; see that the "
            f"server runs, then run again to go on"
        )

    def _pause(self, seconds: float) -> None:
        now = asyncio.get_running_loop().time()
        self._paused_until = max(self._paused_until, now + seconds if seconds else 0.0)

    async def _pass_pause(self) -> None:
        """Wait until the pause is over, and a little longer, so that not all come at once."""
        loop = asyncio.get_running_loop()
        while (left := self._paused_until - loop.time()) > 0:
            await asyncio.sleep(left * (1.0 + jitter(next(self._draws))))

    async def _try(self, line: httpx.AsyncClient, request: Request) -> Reply | Fault:
        import httpx

        try:
            async with asyncio.timeout(self.endpoint.timeout_s):
                status, retry_after, body = await self._post(line, request)
        except TimeoutError:
            return Fault(f"no whole answer within {self.endpoint.timeout_s:g} s")
        except httpx.RequestError as error:
            return Fault(self._without_key(f"{type(error).__name__} {error}".strip()))
        if not 200 <= status < 300:
            text = body[: 4 * SHOWN].decode("utf-8", "replace").strip()[:SHOWN]
            return fault_of(status, f"status {status}: {text}{self._hint(status)}", retry_after)
        if len(body) > LARGEST_REPLY:
            return Fault(f"a reply of more than {LARGEST_REPLY >> 20} MiB")
        try:
            return self.endpoint.read(body)
        except UnreadableReplyError as error:
            return Fault(f"the server sent {error}")

    async def _post(self, line: httpx.AsyncClient, request: Request) -> tuple[int, str, bytes]:
        """Status, Retry-After header and body, which is read just beyond the largest reply."""
        stream = line.stream(
            "POST", self.endpoint.url, json=request, extensions={"trace": self._trace}
        )
        async with stream as reply:
            body = bytearray()
            async for chunk in reply.aiter_bytes():
                body += chunk
                if len(body) > LARGEST_REPLY:
                    break
            retry_after = reply.headers.get("retry-after", "")
            return reply.status_code, retry_after, without_key(bytes(body), self._key)

    async def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith("send_request_headers.complete"):
            self.contact.set()

    def _without_key(self, text: str) -> str:
        return without_key(text.encode("utf-8", "replace"), self._key).decode()

    def _hint(self, status: int) -> str:
        name = self.endpoint.api_key_env
        if status in (401, 403):
            state = "is set" if os.environ.get(name) else "is not set"
            return f" (the key is read from {name}, which {state})"
        if status in (404, 405) or status < 400:
            route = self.endpoint.route
            return f" (see that base_url ends before {route} and that the model is there)"
        return ""
