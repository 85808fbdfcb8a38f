"""Our side: the engine that every stage samples with."""

from __future__ import annotations

import os

from beside_samplers.work import Work
from minireason.model.load import load_model
from minireason.model.threads import use_threads
from minireason.rollout.engine import Engine
from minireason.rollout.request import Request
from minireason.rollout.sampling import SamplingParams


class Side:
    def __init__(self, folder: str) -> None:
        use_threads(int(os.environ["OMP_NUM_THREADS"]))
        self.model = load_model(folder).model

    def sample(self, work: Work, batch: int) -> list[list[int]]:
        engine = Engine(self.model, work["stop_ids"], max_batch=batch)
        requests = [
            Request(
                prompt,
                SamplingParams(work["temperature"], top_p=1.0, max_tokens=length, seed=seed),
            )
            for seed, (prompt, length) in enumerate(
                zip(work["prompts"], work["max_tokens"], strict=True)
            )
        ]
        return [completion.token_ids for completion in engine.generate(requests)]
