"""A chat completion as the server writes it: server-sent events of the chat protocol."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minireason.endpoint.reply import (
    CUT,
    STOPPED,
    THINKING_FIELDS,
    UnreadableReplyError,
    read_reply,
)
from minireason.endpoint.server import Endpoint, without_key
from minireason.endpoint.session import LARGEST_REPLY, LONGEST_CONNECT_S, SHOWN
from minireason.endpoint.usage import Usage, read_usage
from minireason.errors import SamplingError

if TYPE_CHECKING:
    import httpx

LARGEST_STREAM = 4 * LARGEST_REPLY  # every token comes in an event of some 300 bytes
LONGEST_SILENCE_S = 600.0  # a long prompt is read before the first token comes


@dataclass(frozen=True, slots=True)
class Delta:
    """What an event adds; `finish_reason` ("stop" or "length") and `usage` come near the end."""

    content: str = ""
    thinking: str = ""
    finish_reason: str = ""
    usage: Usage | None = None


def stream_chat(endpoint: Endpoint, request: Mapping[str, Any]) -> Iterator[Delta]:
    """The first choice of a chat completion, as it comes; tried once.

    Closing the iterator ends the request. Raises SamplingError where the server cannot be reached,
    refuses, sends what is no completion, or breaks off.
    """
    import httpx

    key = endpoint.key()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body = {**request, "stream": True, "stream_options": {"include_usage": True}}
    timeout = httpx.Timeout(LONGEST_SILENCE_S, connect=LONGEST_CONNECT_S)
    try:
        with (
            httpx.Client(headers=headers, timeout=timeout) as client,
            client.stream("POST", endpoint.url, json=body) as reply,
        ):
            yield from _deltas(endpoint, reply, key)
    except httpx.HTTPError as error:
        said = without_key(f"{type(error).__name__} {error}".encode(), key).decode().strip()
        raise SamplingError(
            f"{endpoint.url} did not answer to the end ({said}); see that the server runs"
        ) from error


def _deltas(endpoint: Endpoint, reply: httpx.Response, key: str) -> Iterator[Delta]:
    if not reply.is_success:
        body = _begin_of(reply, LARGEST_REPLY)
        raise SamplingError(
            f"{endpoint.url} refused with status {reply.status_code}: "
            f"{_shown(without_key(body, key))}{_hint(endpoint, reply.status_code)}"
        )
    if reply.headers.get("content-type", "").startswith("application/json"):
        body = _begin_of(reply, LARGEST_REPLY)
        if len(body) > LARGEST_REPLY:
            raise SamplingError(f"{endpoint.url} sent more than {LARGEST_REPLY >> 20} MiB")
        yield _whole(endpoint, without_key(body, key))
        return
    is_finished = False
    for event in _events(reply):
        delta = _read(endpoint, without_key(event, key))
        is_finished = is_finished or bool(delta.finish_reason)
        yield delta
    if not is_finished:
        raise SamplingError(f"{endpoint.url} broke off before the end of the response")


def _begin_of(reply: httpx.Response, most_bytes: int) -> bytes:
    """The body, read just beyond so many bytes."""
    body = bytearray()
    for chunk in reply.iter_bytes():
        body += chunk
        if len(body) > most_bytes:
            break
    return bytes(body)


def _events(reply: httpx.Response) -> Iterator[bytes]:
    """The data of each event: a line here is what ends with a line feed, nothing else does."""
    held, num_bytes = b"", 0
    for chunk in reply.iter_bytes():
        num_bytes += len(chunk)
        if num_bytes > LARGEST_STREAM:
            raise SamplingError(f"a response of more than {LARGEST_STREAM >> 20} MiB")
        *lines, held = (held + chunk).split(b"\n")
        for line in lines:
            data = line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                return
            if line.startswith(b"data:") and data:
                yield data
        if len(held) > LARGEST_REPLY:
            raise SamplingError(f"an event of more than {LARGEST_REPLY >> 20} MiB")


def _read(endpoint: Endpoint, event: bytes) -> Delta:
    try:
        chunk = json.loads(event)
        is_error = "error" in chunk
        usage = read_usage(chunk) if chunk.get("usage") else None
        choices = chunk.get("choices") or [{}]  # none where the usage comes by itself
        choice = choices[0]
        delta = choice.get("delta") or {}
        thinking = next((t for name in THINKING_FIELDS if (t := delta.get(name))), "")
        content = delta.get("content") or ""
        reason = choice.get("finish_reason")
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise SamplingError(f"{endpoint.url} sent no event but {_shown(event)}") from error
    if is_error or not (isinstance(content, str) and isinstance(thinking, str)):
        raise SamplingError(f"{endpoint.url} failed: {_shown(event)}")
    return Delta(content, thinking, _finish_reason(endpoint, reason), usage)


def _finish_reason(endpoint: Endpoint, reason: Any) -> str:
    if not reason:
        return ""
    if reason not in STOPPED | CUT:
        raise SamplingError(f"{endpoint.url} ended the response by {str(reason)[:SHOWN]!r}")
    return "stop" if reason in STOPPED else "length"


def _whole(endpoint: Endpoint, body: bytes) -> Delta:
    """The answer of a server that does not stream."""
    try:
        reply = read_reply(body)
    except UnreadableReplyError as error:
        raise SamplingError(f"{endpoint.url} sent {error}") from error
    return Delta(reply.content, reply.thinking, reply.finish_reason, reply.usage)


def _hint(endpoint: Endpoint, status: int) -> str:
    if status in (401, 403):
        state = "is set" if os.environ.get(endpoint.api_key_env) else "is not set"
        return f" (the key is read from {endpoint.api_key_env}, which {state})"
    if status in (404, 405):
        return f" (see that the URL ends before {endpoint.route} and that the model is there)"
    return ""


def _shown(body: bytes) -> str:
    """On one line."""
    return " ".join(body[: 4 * SHOWN].decode("utf-8", "replace").split())[:SHOWN]
