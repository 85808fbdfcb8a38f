"""transformers' sides: `generate` batch by batch, and continuous batching."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig

from beside_samplers.work import Work
from minireason.model.source import local_folder

PAGE = 32


class Side:
    def __init__(self, folder: str) -> None:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        self.model: Any = AutoModelForCausalLM.from_pretrained(
            local_folder(folder) or folder, dtype=torch.float32, attn_implementation="sdpa"
        )
        self.model.generation_config = GenerationConfig()
        self.model.eval()


class Generate(Side):
    def sample(
        self, work: Work, batch: int, order: str = "arrival", cache: str = "dynamic"
    ) -> list[list[int]]:
        prompts = work["prompts"]
        rows = list(range(len(prompts)))
        if order == "by prompt":
            rows.sort(key=lambda row: len(prompts[row]))
        found: dict[int, list[int]] = {}
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            found |= dict(zip(part, self.generated(work, part, cache), strict=True))
        return [found[row] for row in range(len(prompts))]

    def generated(self, work: Work, rows: Sequence[int], cache: str) -> list[list[int]]:
        prompts = [work["prompts"][row] for row in rows]
        lengths = [work["max_tokens"][row] for row in rows]
        width = max(map(len, prompts))
        padded = [[0] * (width - len(prompt)) + prompt for prompt in prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        settings = settings_of(work) | {"max_new_tokens": max(lengths)}
        if cache == "static":
            settings |= {"cache_implementation": "static", "disable_compile": True}
        out = self.model.generate(
            input_ids=torch.tensor(padded),
            attention_mask=torch.tensor(mask),
            generation_config=GenerationConfig(**settings),
        )[:, width:].tolist()
        stop_ids = set(work["stop_ids"])
        return [ended(row[:length], stop_ids) for row, length in zip(out, lengths, strict=True)]


class Continuous(Side):
    """As `model.generate_batch`, which has one length for all."""

    waited_s = 0.0

    def sample(self, work: Work, batch: int) -> list[list[int]]:
        started = time.perf_counter()
        totals = [len(p) + n for p, n in zip(work["prompts"], work["max_tokens"], strict=True)]
        sizes = ContinuousBatchingConfig(
            page_size=PAGE,
            num_blocks=batch * -(-max(totals) // PAGE),
            max_batch_tokens=max(1024, batch),
            max_requests_per_batch=batch,
            allow_block_sharing=False,
        )
        found: dict[str, list[int]] = {}
        with self.model.continuous_batching_context_manager(
            generation_config=GenerationConfig(**settings_of(work)),
            continuous_batching_config=sizes,
        ) as manager:
            self.waited_s = time.perf_counter() - started
            for number, prompt in enumerate(work["prompts"]):
                manager.add_request(
                    prompt, request_id=str(number), max_new_tokens=work["max_tokens"][number]
                )
            while len(found) < len(totals):
                result = manager.get_result(timeout=1)
                if result is not None and result.is_finished():
                    found[result.request_id] = list(result.generated_tokens)
                elif result is None and not manager.is_running():
                    raise RuntimeError("continuous batching stopped by itself")
        return [found[str(number)] for number in range(len(totals))]


def settings_of(work: Work) -> dict[str, Any]:
    greedy = work["temperature"] == 0
    drawn = {} if greedy else {"temperature": work["temperature"], "top_k": 0, "top_p": 1.0}
    return {
        "do_sample": not greedy,
        "eos_token_id": work["stop_ids"] or None,
        "pad_token_id": 0,
        **drawn,
    }


def ended(tokens: list[int], stop_ids: set[int]) -> list[int]:
    """The tokens up to the first stop token, which belongs to them."""
    for count, token in enumerate(tokens, 1):
        if token in stop_ids:
            return tokens[:count]
    return tokens
