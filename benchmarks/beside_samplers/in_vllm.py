"""vLLM's side; runs in a Python that need have nothing of ours."""

from __future__ import annotations

import os
from typing import Any

os.environ |= {"VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_LOGGING_LEVEL": "ERROR"}
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")

from vllm import LLM, SamplingParams

MAX_LENGTH = 1024


class Side:
    """An engine for each batch size, made when it is first asked for."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.engines: dict[tuple[int, bool], Any] = {}

    def engine(self, batch: int, is_compiled: bool) -> Any:
        if (batch, is_compiled) not in self.engines:
            self.engines[batch, is_compiled] = LLM(
                model=self.folder,
                skip_tokenizer_init=True,
                generation_config="vllm",
                dtype="float32",
                enforce_eager=not is_compiled,
                max_model_len=MAX_LENGTH,
                max_num_seqs=batch,
                max_num_batched_tokens=8192,
                enable_prefix_caching=False,
            )
        return self.engines[batch, is_compiled]

    def sample(
        self, work: dict[str, Any], batch: int, is_compiled: bool = False
    ) -> list[list[int]]:
        params = [
            SamplingParams(
                temperature=work["temperature"],
                max_tokens=length,
                ignore_eos=not work["stop_ids"],
                stop_token_ids=work["stop_ids"] or None,
                detokenize=False,
            )
            for length in work["max_tokens"]
        ]
        prompts = [{"prompt_token_ids": ids} for ids in work["prompts"]]
        outputs = self.engine(batch, is_compiled).generate(prompts, params, use_tqdm=False)
        return [list(output.outputs[0].token_ids) for output in outputs]
