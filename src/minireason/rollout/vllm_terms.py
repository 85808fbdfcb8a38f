"""What vLLM takes, and which of a completion's log-probabilities the ones it reports are.

vLLM reports one number a token. With `logprobs_mode="processed_logprobs"` it is of the very
distribution sampled from, cut by top-p and top-k and renormalised; with `"raw_logprobs"`, its
default, of the uncut one at temperature 1. The other numbers do not follow from these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from minireason.errors import SamplingError
from minireason.records import FinishReason
from minireason.rollout.request import Completion, Request, check_requests
from minireason.rollout.sampling import SamplingParams

LogprobsMode = Literal["processed_logprobs", "raw_logprobs"]

LOWEST_TEMPERATURE = 0.01  # what is lower but not 0, vLLM raises to this
HIGHEST_TEMPERATURE = 2.0


def check_for_vllm(requests: Sequence[Request], max_length: int, vocab_size: int) -> None:
    """Raise SamplingError for a request that vLLM cannot serve as it is."""
    check_requests(requests, max_length, vocab_size)
    for index, request in enumerate(requests):
        temperature = request.params.temperature
        if temperature and not LOWEST_TEMPERATURE <= temperature <= HIGHEST_TEMPERATURE:
            raise SamplingError(
                f"request {index} has temperature {temperature}; vLLM takes 0 and "
                f"{LOWEST_TEMPERATURE} to {HIGHEST_TEMPERATURE}"
            )


def completion_of(
    params: SamplingParams,
    mode: LogprobsMode,
    token_ids: Sequence[int],
    reported: Sequence[float],
    finish_reason: FinishReason,
) -> Completion:
    """The completion with `logprobs` and `raw_logprobs` filled where they are what was reported.

    Raises SamplingError for numbers that are not finite.
    """
    if not all(map(math.isfinite, reported)):
        raise SamplingError("the model gave logits that are not finite; its weights are broken")
    is_greedy = params.temperature == 0
    is_scaled = params.temperature not in (0, 1)
    is_cut = not is_greedy and (params.top_p < 1 or params.top_k > 0)
    is_raw = mode == "raw_logprobs"
    return Completion(
        token_ids=list(token_ids),
        logprobs=list(reported) if not (is_scaled if is_raw else is_cut) else [],
        finish_reason=finish_reason,
        raw_logprobs=list(reported) if is_raw or not (is_scaled or is_cut) else [],
    )
