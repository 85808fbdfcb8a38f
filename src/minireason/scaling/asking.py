"""Asking each thing once: what was answered is in a journal, found again by what was asked.

Two methods that ask for the same sample share it, and a run that was interrupted replays what is
there. What a method costs is counted by the method, so sharing makes none cheaper.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict
from typing import TypeVar

from minireason.errors import SamplingError
from minireason.inference.backend import Backend, OnResponse, Response, Turn
from minireason.inference.server import ServerBackend
from minireason.journal import Journal
from minireason.rollout.sampling import SamplingParams
from minireason.scaling.method import Ask, Outcome, Rounds, Search
from minireason.scaling.searching import search_all

Key = TypeVar("Key", bound=Hashable)
OnProgress = Callable[[int, int, str], None]
"""Told how many asks are answered, of how many so far, and what is asked."""


class Asker:
    """Gives asks to a backend, and each response to the journal as it comes.

    An ask whose prompt fills the embedded engine's context has an empty response of no tokens;
    `num_unfit` counts them.
    """

    def __init__(self, backend: Backend, journal: Journal, on_progress: OnProgress) -> None:
        self.backend, self._journal, self._on_progress = backend, journal, on_progress
        self._known = {entry.pop("ask"): Response(**entry) for entry in journal.entries()}
        self._unfit: set[str] = set()

    @property
    def num_unfit(self) -> int:
        return len(self._unfit)

    def ask(self, asks: Sequence[Ask]) -> list[Response]:
        """The responses in order. Raises SamplingError for what the backend cannot do or tell."""
        names = [name_of(ask) for ask in asks]
        missing = dict(zip(names, asks, strict=True))
        missing = {name: ask for name, ask in missing.items() if name not in self._known}
        for name in [name for name, ask in missing.items() if not self._fits(ask)]:
            self._unfit.add(name)
            self._known[name] = Response("", "length", 0, 0, -math.inf)
            del missing[name]
        num_total = len(self._known) + len(missing)
        turns = {name: ask for name, ask in missing.items() if isinstance(ask, Turn)}
        searches = {name: ask for name, ask in missing.items() if isinstance(ask, Search)}
        if turns:
            self.backend.respond(list(turns.values()), self._keeper(list(turns), num_total))
        if searches:
            search_all(
                self.backend, list(searches.values()), self._keeper(list(searches), num_total)
            )
        return [self._known[name] for name in names]

    def _keeper(self, names: Sequence[str], num_total: int) -> OnResponse:
        """Keeps each response under its name."""

        def keep(index: int, response: Response) -> None:
            if not response.num_tokens:
                raise SamplingError(
                    f"{self.backend.name} does not say how many tokens it generated, and methods "
                    "are compared by that; use a server that fills in `usage`"
                )
            self._known[names[index]] = response
            self._journal.append({"ask": names[index], **asdict(response)})
            self._on_progress(len(self._known), num_total, "responses")

        self._on_progress(len(self._known), num_total, "responses")
        return keep

    def _fits(self, ask: Ask) -> bool:
        """Whether the context has room for a token behind the prompt, where that is known."""
        if isinstance(self.backend, ServerBackend):
            return True
        from minireason.inference.local import LocalBackend

        if not isinstance(self.backend, LocalBackend):
            return True
        begun = ask.begun if isinstance(ask, Turn) else ""
        try:
            self.backend.request(Turn(ask.messages, SamplingParams(max_tokens=1), begun))
        except SamplingError:
            return False
        return True


def name_of(ask: Ask) -> str:
    """A name that tells any two asks apart."""
    content = {"kind": type(ask).__name__, **asdict(ask)}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def solve_all(asker: Asker, solving: Mapping[Key, Rounds]) -> dict[Key, Outcome]:
    """The outcomes; the rounds of all are asked together, so that they fill the batch."""
    outcomes: dict[Key, Outcome] = {}
    waiting = {key: next(rounds) for key, rounds in solving.items()}
    while waiting:
        responses = iter(asker.ask([ask for asks in waiting.values() for ask in asks]))
        for key, asks in list(waiting.items()):
            try:
                waiting[key] = solving[key].send([next(responses) for _ in asks])
            except StopIteration as done:
                outcomes[key] = done.value
                del waiting[key]
    return {key: outcomes[key] for key in solving}
