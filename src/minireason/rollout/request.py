"""What every sampler takes and gives: token ids in, token ids and log-probabilities out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from minireason.errors import SamplingError
from minireason.records import FinishReason
from minireason.rollout.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class Request:
    """One sequence to sample: the prompt's token ids and how to sample."""

    prompt_ids: list[int]
    params: SamplingParams


@dataclass(frozen=True, slots=True)
class Completion:
    """What was sampled. `token_ids` includes the stop token where one was sampled ("stop").

    `logprobs`, one a token, are those of the temperature-scaled distribution before anything is
    cut from it (temperature 0: of the unscaled one), `raw_logprobs` those at temperature 1; both
    float32, of the model's own logits. A sampler that cannot tell leaves `raw_logprobs` empty.
    `forced` are the places of tokens that were put there and not sampled (the end of thinking when
    its budget was used up): a trainer leaves them out.
    """

    token_ids: list[int]
    logprobs: list[float]
    finish_reason: FinishReason
    raw_logprobs: list[float] = field(default_factory=list)
    forced: list[int] = field(default_factory=list)


class TokenEvent(NamedTuple):
    """A token of a request, as it comes; its last one carries the completion.

    `logprob` and `raw_logprob` are as in `Completion`.
    """

    number: int
    token_id: int
    logprob: float
    completion: Completion | None = None
    raw_logprob: float = math.nan


OnFinish = Callable[[int, Completion], None]


class Sampler(Protocol):
    """Samples from one model: the embedded engine, a server, or vLLM."""

    max_length: int
    """Longest prompt plus response, in tokens."""

    def generate(
        self, requests: Sequence[Request], on_finish: OnFinish | None = None
    ) -> list[Completion]:
        """Sample every request; the completions are in the order of the requests.

        `on_finish(index, completion)` is called as each one finishes. Raises SamplingError, before
        anything is sampled, for a request that cannot be served.
        """
        ...

    def check(self, requests: Sequence[Request]) -> None:
        """Raise SamplingError for a request that cannot be served."""
        ...

    def load_weights(self, model: Any) -> None:
        """Sample from this model's weights from now on; one that shares them has nothing to do."""
        ...


def check_requests(requests: Sequence[Request], max_length: int, vocab_size: int) -> None:
    """Raise SamplingError for a request that a model of these sizes cannot serve."""
    for number, request in enumerate(requests):
        check_request(number, request, max_length, vocab_size)


def check_request(number: int, request: Request, max_length: int, vocab_size: int) -> None:
    """`check_requests` of one, which errors call by its number."""
    length = len(request.prompt_ids)
    if not length:
        raise SamplingError(f"request {number} has an empty prompt; it needs at least one token")
    total = length + request.params.max_tokens
    if total > max_length:
        raise SamplingError(
            f"request {number} needs {total} positions ({length} prompt + "
            f"{request.params.max_tokens} response), the limit is {max_length}; "
            "lower max_tokens, shorten the prompt or raise max_length"
        )
    if not 0 <= min(request.prompt_ids) <= max(request.prompt_ids) < vocab_size:
        raise SamplingError(
            f"request {number} has a token id outside 0..{vocab_size - 1}; "
            "was it made with another model's tokenizer?"
        )
