"""The requests: real prompts of a finished run, and the lengths of its real responses."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from minireason.model.chat import Chat
from minireason.records import EvalSample, read_records

Work = dict[str, Any]
"""prompts (token ids), max_tokens (one a prompt), temperature, stop_ids: goes through JSON."""

NUM_EQUAL, EQUAL_TOKENS = 64, 128
SAMPLED_TOKENS = 320


def works(run: Path, stage: str, num_requests: int, seed: int) -> dict[str, Work]:
    """The requests of each part, from the samples of `evaluate-STAGE`."""
    chat = Chat(AutoTokenizer.from_pretrained(run / stage))
    samples = read_records(run / f"evaluate-{stage}" / "samples", EvalSample)
    drawn = random.Random(seed).sample(samples, min(num_requests, len(samples)))
    prompts = [chat.prompt_ids([{"role": "user", "content": one.question}]) for one in drawn]
    alike = of_one_length(prompts, NUM_EQUAL)
    lengths = [one.num_tokens for one in drawn]
    sampled = work(prompts, [SAMPLED_TOKENS] * len(prompts))
    return {
        "equal": work(alike, [EQUAL_TOKENS] * len(alike)),
        "ragged": work(prompts, lengths),
        "sampled": sampled | {"temperature": 1.0, "stop_ids": sorted(chat.stop_ids)},
    }


def work(prompts: Sequence[Sequence[int]], max_tokens: Sequence[int]) -> Work:
    """Greedy requests that nothing but their length ends."""
    return {
        "prompts": list(prompts),
        "max_tokens": list(max_tokens),
        "temperature": 0.0,
        "stop_ids": [],
    }


def of_one_length(prompts: Sequence[list[int]], count: int) -> list[list[int]]:
    """So many different prompts of the commonest length: nobody pads. Cut to it if there are fewer.

    Longer ones lose their beginnings.
    """
    by_length: dict[int, list[list[int]]] = defaultdict(list)
    for prompt in prompts:
        if prompt not in by_length[len(prompt)]:
            by_length[len(prompt)].append(prompt)
    length = max(by_length, key=lambda each: len(by_length[each]))
    alike = list(by_length[length])
    for prompt in prompts:
        if len(prompt) > length and prompt[-length:] not in alike:
            alike.append(prompt[-length:])
    return alike[:count]
