"""Which server, which model on it, and how hard to try."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from minireason.endpoint.reply import Reply, read_reply
from minireason.errors import SamplingError

SHORTEST_SECRET = 8  # characters; a shorter one, such as `EMPTY`, is a placeholder and may be text


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`{base_url}/chat/completions` for one model, `concurrency` requests at a time.

    The key is read from the environment variable `api_key_env` when asking starts; without one no
    Authorization header is sent. `timeout_s` bounds one try from sending to the last byte. What
    may pass (429, 5xx, broken connections, replies that make no sense) is tried `max_retries` times
    more, after `backoff_s` doubled each time. Raises SamplingError for values that cannot work.
    """

    base_url: str
    model: str
    api_key_env: str = "OPENAI_API_KEY"
    concurrency: int = 32
    timeout_s: float = 1800.0
    max_retries: int = 6
    backoff_s: float = 1.0

    route: ClassVar[str] = "/chat/completions"

    def __post_init__(self) -> None:
        _check_url(self.base_url)
        if self.concurrency < 1 or self.max_retries < 0 or not self.timeout_s > 0:
            raise SamplingError(
                f"concurrency is {self.concurrency}, max_retries {self.max_retries}, timeout_s "
                f"{self.timeout_s}; allowed are 1 or more, 0 or more, and above 0"
            )

    @property
    def url(self) -> str:
        return self.base_url.rstrip("/") + self.route

    def read(self, body: bytes) -> Reply:
        """What the server wrote; raises UnreadableReplyError."""
        return read_reply(body)

    def key(self) -> str:
        """The key, empty where none is set; it must never reach a file, a log or a message."""
        key = os.environ.get(self.api_key_env, "").strip() if self.api_key_env else ""
        if not (key.isascii() and key.isprintable()):  # the HTTP library's own error would quote it
            raise SamplingError(
                f"the key in {self.api_key_env} holds a line break or another character that no "
                f"HTTP header can carry; set it again"
            )
        return key


def _check_url(base_url: str) -> None:
    """What holds a password is not shown: the message may end in a log."""
    try:
        parts = urlsplit(base_url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, is_url = urlsplit(""), False
    if "@" in base_url or parts.query or parts.fragment:
        raise SamplingError(
            "base_url holds a user, a password or a query; give the bare URL, and the key in the "
            "environment"
        )
    if not is_url:
        raise SamplingError(
            f"base_url is {base_url!r}; give a URL such as http://127.0.0.1:8000/v1"
        )


def without_key(body: bytes, key: str) -> bytes:
    """A server's words with the key blacked out, should it echo what it was sent."""
    return body.replace(key.encode(), b"***") if len(key) >= SHORTEST_SECRET else body
