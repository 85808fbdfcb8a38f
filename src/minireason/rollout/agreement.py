"""Whether a sampler that holds a copy of a model's weights has taken them all."""

from __future__ import annotations

import random
from typing import Any

from minireason.errors import SamplingError
from minireason.rollout.engine import Engine
from minireason.rollout.request import Request, Sampler
from minireason.rollout.sampling import SamplingParams

NUM_PROMPTS = 8
PROMPT_LENGTH = 12  # tokens
TOLERANCE = 0.25  # nats, of the mean: bfloat16 rounds by less, a layer that stayed behind by more


def require_agreement(sampler: Sampler, model: Any) -> None:
    """Raise SamplingError where the sampler's log-probabilities are not those of the model.

    Compares the likeliest first token after a few prompts of random tokens. Engines warn where a
    weight that they hold did not arrive, and go on with what was there.
    """
    vocab_size = int(model.config.get_text_config().vocab_size)
    draw = random.Random(0)
    length = min(PROMPT_LENGTH, sampler.max_length - 1)
    params = SamplingParams(temperature=0.0, top_p=1.0, max_tokens=1)
    requests = [
        Request([draw.randrange(vocab_size) for _ in range(length)], params)
        for _ in range(NUM_PROMPTS)
    ]
    own = Engine(model, [], NUM_PROMPTS, sampler.max_length).generate(requests)
    theirs = sampler.generate(requests)
    pairs = zip(own, theirs, strict=True)
    distance = sum(abs(a.logprobs[0] - b.logprobs[0]) for a, b in pairs) / NUM_PROMPTS
    if distance > TOLERANCE:
        raise SamplingError(
            f"after the update the sampler's log-probabilities are {distance:.2f} nats from the "
            f"model's, at most {TOLERANCE} are rounding: it did not take all weights, or computes "
            "another model; set sampler.engine = 'embedded'"
        )
