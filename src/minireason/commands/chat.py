"""The command `minireason chat`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from minireason.options import Device, Model, Retrieve, Server, Threads

if TYPE_CHECKING:
    from minireason.terminal.session import Session
    from minireason.terminal.view import View


def chat(
    model: Model,
    once: Annotated[str, typer.Option("--once", help="Answer this question, and end.")] = "",
    server: Server = "",
    api_key_env: Annotated[
        str, typer.Option(help="Environment variable with the server's key.")
    ] = "OPENAI_API_KEY",
    system: Annotated[str, typer.Option(help="What stands before the conversation.")] = "",
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.6,
    top_p: Annotated[float, typer.Option(help="Share of the probability drawn from.")] = 0.95,
    max_tokens: Annotated[
        int | None,
        typer.Option(help="Of a response (what fits; 4096 on a server)."),
    ] = None,
    budget: Annotated[int, typer.Option(help="Most tokens of thinking (0: no bound).")] = 0,
    retrieve: Retrieve = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answers.")] = 0,
    device: Device = "auto",
    threads: Threads = 0,
    plain: Annotated[bool, typer.Option("--plain", help="Text as it is, no colours.")] = False,
) -> None:
    """Talk with a model; from a pipe, answer a question a line."""
    from minireason.inference.resolve import open_backend
    from minireason.inference.server import MAX_TOKENS
    from minireason.retrieval import Retriever
    from minireason.rollout.sampling import SamplingParams
    from minireason.terminal.session import Session

    most = 1 if max_tokens is None else max_tokens
    params = SamplingParams(temperature, top_p, max_tokens=most, seed=seed, thinking_budget=budget)
    retriever = Retriever(retrieve) if retrieve else None
    backend = open_backend(
        model,
        base_url=server,
        api_key_env=api_key_env,
        concurrency=1,
        device=device,
        threads=threads,
    )
    if max_tokens is None:
        params = replace(params, max_tokens=backend.max_length or MAX_TOKENS)
    is_piped = not sys.stdin.isatty() and not once
    is_plain = plain or is_piped or not sys.stdout.isatty()
    session = Session(backend, _view(is_plain), params, system, retriever)
    _run(session, once, is_piped=is_piped, is_plain=is_plain)


def _run(session: Session, once: str, *, is_piped: bool, is_plain: bool) -> None:
    from minireason.terminal.loop import answer_each, line_reader, talk

    if is_piped or (once and is_plain):
        session.thinking = "hide"
    if once or is_piped:
        answer_each(session, [once] if once else sys.stdin)
        return
    session.view.say(f"{session.backend.name}; /help lists the commands, Ctrl-D ends")
    talk(session, line_reader())


def _view(is_plain: bool) -> View:
    from rich.console import Console

    from minireason.terminal.view import LiveView, PlainView

    if not is_plain:
        return LiveView(Console())
    return PlainView(_writer(sys.stdout), _writer(sys.stderr))


def _writer(file: TextIO) -> Callable[[str], None]:
    def write(text: str) -> None:
        file.write(text)
        file.flush()

    return write
