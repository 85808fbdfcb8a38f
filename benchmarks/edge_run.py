"""One run of `benchmarks/edge.py`, in a process of its own: open a model, feed it, say how long.

python benchmarks/edge_run.py --child RUN
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from turns import Run

QUESTIONS = ("What is 17 + 28?", "Tom has 12 apples and gives 5 away. How many are left?")
QUESTIONS += ("Compute 3 * (14 - 6).", "What is the remainder of 100 divided by 7?")

Generate = Callable[[list[int], int], list[int]]


def run_child(run: Run) -> None:
    from minireason.export.timed import peak_bytes

    started = time.perf_counter()
    generate = OPENERS[run["how"]](Path(run["folder"]), run["threads"])
    open_s = time.perf_counter() - started
    prompts = prompt_ids(Path(run["model"]))
    generate(prompts[0], 8)
    first, took, sequences = [], 0.0, []
    for prompt in prompts:
        started = time.perf_counter()
        generate(prompt, 1)
        first.append(time.perf_counter() - started)
        started = time.perf_counter()
        sequences.append(generate(prompt, run["tokens"]))
        took += time.perf_counter() - started
    print(
        json.dumps(
            {
                "tokens_per_s": sum(map(len, sequences)) / took,
                "first_token_s": statistics.median(first),
                "open_s": open_s,
                "peak_bytes": peak_bytes(),
                "sequences": sequences,
            }
        )
    )


def prompt_ids(model: Path) -> list[list[int]]:
    """The questions by the original's tokenizer, without importing torch."""
    from minireason.edge.tokenizer import FolderTokenizer
    from minireason.model.chat import Chat

    tokenizer: Any = FolderTokenizer(model)
    chat = Chat(tokenizer)
    return [chat.prompt_ids([{"role": "user", "content": question}]) for question in QUESTIONS]


def open_ours(folder: Path, threads: int) -> Generate:
    from minireason.inference.resolve import open_local
    from minireason.rollout.request import Request
    from minireason.rollout.sampling import SamplingParams

    engine = open_local(str(folder), max_batch=1, threads=threads).engine

    def generate(prompt: list[int], count: int) -> list[int]:
        params = SamplingParams(temperature=0.0, max_tokens=count, min_tokens=count)
        return engine.generate([Request(prompt, params)])[0].token_ids

    return generate


def open_generate(folder: Path, threads: int) -> Generate:
    import torch

    model = transformers_model(folder, threads)

    def generate(prompt: list[int], count: int) -> list[int]:
        ids = torch.tensor([prompt])
        options = {"min_new_tokens": count, "max_new_tokens": count, "do_sample": False}
        found = model.generate(ids, attention_mask=torch.ones_like(ids), **options)
        return found[0, len(prompt) :].tolist()

    return generate


def open_loop(folder: Path, threads: int) -> Generate:
    import torch

    model = transformers_model(folder, threads)
    stops = model.generation_config.eos_token_id

    def generate(prompt: list[int], count: int) -> list[int]:
        found: list[int] = []
        ids, cache = torch.tensor([prompt]), None
        while len(found) < count:
            output = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
            cache, logits = output.past_key_values, output.logits[0, -1]
            if len(found) + 1 < count:
                logits[stops] = -torch.inf
            found.append(int(logits.argmax()))
            ids = torch.tensor([found[-1:]])
        return found

    return generate


def transformers_model(folder: Path, threads: int) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


OPENERS = {"ours": open_ours, "generate": open_generate, "loop": open_loop}


if __name__ == "__main__":
    run_child(json.loads(sys.argv[2]))
