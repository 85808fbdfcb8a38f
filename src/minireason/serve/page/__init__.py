"""The page at `/`: plain HTML, CSS and modules that ask `/v1/chat/completions` of the same server.

Nothing is fetched from elsewhere and nothing is built; what a model writes becomes elements of a
closed set (`nodes.py`) and a strict Content-Security-Policy stands behind that. The page sends the
key that it was given with everything, so a server with a key can guard the conversions too.

    POST /render  {"text": ...}          {"blocks": [{"source": ..., "node": [tag, {...}, [...]]}]}
    POST /agree   {"texts": [..., ...]}  {"answers": [..., ...], "verdict": "same"}
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from minireason.serve.page.agreement import agreement
from minireason.serve.page.blocks import blocks

if TYPE_CHECKING:
    from fastapi import FastAPI, Request, Response

MAX_BODY = 1 << 20  # bytes
MAX_LENGTH = 200_000  # characters of one text
MOST_AT_WORK = 2  # conversions at the same time: Python does no more at once
MOST_WAITING = 32  # before others are refused

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class _Workplace:
    """Where texts are converted; entered from one event loop."""

    def __init__(self) -> None:
        self._limiter = CapacityLimiter(MOST_AT_WORK)
        self._num_inside = 0

    async def convert(self, convert: Callable[[Any], Any], body: Any) -> Any:
        """In a thread. Raises _RequestError where too many wait already."""
        if self._num_inside >= MOST_AT_WORK + MOST_WAITING:
            raise _RequestError(503, "too many texts are being converted; ask again later")
        self._num_inside += 1
        try:
            return await run_sync(convert, body, limiter=self._limiter)
        finally:
            self._num_inside -= 1


class _RequestError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def mount_page(app: FastAPI) -> None:
    """Add the page, its files and its two conversions to a server's routes."""
    for file in sorted(_FOLDER.iterdir()):
        path = "/" if file.name == "index.html" else f"/page/{file.name}"
        app.add_api_route(path, _file(file), methods=["GET"], include_in_schema=False)
    workplace = _Workplace()
    for path, convert in (("/render", _render), ("/agree", _agree)):
        endpoint = partial(_converted, convert, workplace)
        app.add_route(path, endpoint, methods=["POST"], include_in_schema=False)


def _file(file: Path) -> Callable[[], Response]:
    from fastapi import Response

    content, media_type = file.read_bytes(), _TYPES[file.suffix]
    return lambda: Response(content, media_type=media_type, headers=_HEADERS)


async def _converted(
    convert: Callable[[Any], Any], workplace: _Workplace, request: Request
) -> Response:
    from fastapi import Response

    try:
        status, answer = 200, await workplace.convert(convert, await _body(request))
    except _RequestError as error:
        kind = {"message": str(error), "type": "invalid_request_error", "code": None}
        status, answer = error.status, {"error": kind}
    content = json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, status, media_type="application/json", headers=_HEADERS)


async def _body(request: Request) -> Any:
    """The request's JSON, refused as soon as it is too long."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BODY:
            raise _RequestError(413, f"the body is too long: at most {MAX_BODY:,} bytes")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise _RequestError(400, "the body is not JSON") from None


def _text(text: Any) -> str:
    if not isinstance(text, str):
        raise _RequestError(400, f"a text is needed, not {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise _RequestError(
            413, f"the text is too long: {len(text):,} characters, at most {MAX_LENGTH:,}"
        )
    return text


def _render(body: Any) -> Any:
    text = _text(body.get("text") if isinstance(body, dict) else None)
    return {"blocks": [block._asdict() for block in blocks(text)]}


def _agree(body: Any) -> Any:
    texts = body.get("texts") if isinstance(body, dict) else None
    if not isinstance(texts, list) or len(texts) != 2:
        raise _RequestError(400, 'two texts are needed: {"texts": ["...", "..."]}')
    return agreement(_text(texts[0]), _text(texts[1]))._asdict()
