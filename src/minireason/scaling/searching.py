"""Beam searches through the embedded engine, as many at a time as its batch holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from minireason.errors import SamplingError
from minireason.inference.backend import Backend, OnResponse, Response, Turn
from minireason.rollout.sampling import SamplingParams
from minireason.scaling.method import Search

if TYPE_CHECKING:
    from minireason.inference.local import LocalBackend
    from minireason.model.chat import Chat
    from minireason.rollout.beam_paths import Search as Paths
    from minireason.rollout.sampled_model import SampledModel


def check_searches(backend: Backend) -> tuple[LocalBackend, SampledModel]:
    """The backend and its embedded engine's model. Raises SamplingError where it has none."""
    from minireason.inference.local import LocalBackend
    from minireason.rollout.engine import Engine

    if not isinstance(backend, LocalBackend) or not isinstance(backend.engine, Engine):
        raise SamplingError(
            f"{backend.name} is on a server or an export, and beam search needs the embedded "
            "engine; leave out beam, or give the model's own folder without --server"
        )
    return backend, backend.engine.sampled


def search_all(backend: Backend, searches: Sequence[Search], on_response: OnResponse) -> None:
    """Search for all; `on_response(index, response)` hears of each.

    The response is the best beam by its mean log-probability. A search ends once as many beams as
    it is wide have ended, so that one of one beam is greedy decoding. Raises SamplingError where
    the backend is not the embedded engine.
    """
    from minireason.rollout.beam import BeamSettings, run_searches

    embedded, sampled = check_searches(backend)
    alike: dict[tuple[int, int], list[tuple[int, list[int]]]] = defaultdict(list)
    for index, search in enumerate(searches):
        params = SamplingParams(max_tokens=search.max_tokens)
        request = embedded.request(Turn(search.messages, params))
        alike[search.num_beams, request.params.max_tokens].append((index, request.prompt_ids))
    for (num_beams, max_tokens), asked in alike.items():
        settings = BeamSettings(num_beams, max_tokens=max_tokens, early_stopping=True)
        each = max(1, sampled.max_batch // num_beams)
        for some in (asked[start : start + each] for start in range(0, len(asked), each)):
            done = run_searches(sampled, [prompt_ids for _, prompt_ids in some], settings)
            for (index, prompt_ids), found in zip(some, done, strict=True):
                on_response(index, _response(embedded.chat, found, len(prompt_ids)))


def _response(chat: Chat, search: Paths, num_prompt_tokens: int) -> Response:
    best = search.ended[0]
    return Response(
        chat.decode(best.token_ids),
        best.finish_reason,
        search.settings.num_beams * search.num_steps,
        num_prompt_tokens,
        sum(best.logprobs),
    )
