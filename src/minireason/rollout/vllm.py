"""vLLM as the sampler: an engine of its own in this process, with a copy of the weights.

1. A request's seed decides its draws, but the last bits of its logits depend on what else is in
   the batch, so that samples equal those of another batch only almost always.
2. `logprobs` are left empty where top-p or top-k cut, `raw_logprobs` also where the temperature is
   neither 0 nor 1: see `vllm_terms`.
"""

from __future__ import annotations

import contextlib
import copy
import os
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterator, Sequence
from types import ModuleType
from typing import Any, ClassVar

import torch
import torch.distributed as dist

from minireason.errors import MissingError, SamplingError
from minireason.model.weights import checkpoint_weights
from minireason.rollout.agreement import require_agreement
from minireason.rollout.request import Completion, OnFinish, Request
from minireason.rollout.vllm_terms import LogprobsMode, check_for_vllm, completion_of

MODE: LogprobsMode = "processed_logprobs"
BLOCK = 256  # tokens; vLLM's blocks are no longer, and the last of a sequence may be almost empty
FREE_SHARE = 0.05  # of the device's memory at the start; the cache's size is given in bytes


class VllmEngine:
    """Samples from a copy of a transformers model, `max_batch` sequences at a time.

    `max_length` bounds prompt plus response, `cache_gib` the memory of keys and values (0: what
    `max_batch` sequences of that length need, at most half of what is free). `dtype` is what the
    copy is held and computed in. vLLM's process groups are global: a new engine closes the one
    before, and there can be none beside a trainer with groups of its own (SamplingError). Raises
    MissingError where vLLM is not installed.
    """

    _close_open: ClassVar[Callable[[], object]] = lambda: None  # closes the process's open engine

    def __init__(
        self,
        model: Any,
        stop_ids: Collection[int],
        max_batch: int,
        max_length: int,
        dtype: str = "float32",
        cache_gib: float = 0.0,
    ) -> None:
        self.max_length, self.stop_ids = max_length, frozenset(stop_ids)
        self.vocab_size = int(model.config.get_text_config().vocab_size)
        self._device = model.device
        self._vllm = _import_vllm(self._device.type)
        VllmEngine._close_open()
        _require_no_groups()
        with tempfile.TemporaryDirectory() as folder, _apart(self._device):
            _config_of(model).save_pretrained(folder)
            self._llm = self._vllm.LLM(
                model=folder,
                load_format="dummy",  # the weights come from memory
                skip_tokenizer_init=True,
                generation_config="vllm",
                logprobs_mode=MODE,
                dtype=dtype,
                enforce_eager=self._device.type == "cpu",
                max_model_len=max_length,
                max_num_seqs=max_batch,
                gpu_memory_utilization=FREE_SHARE,
                kv_cache_memory_bytes=cache_bytes(model, max_batch, max_length, dtype, cache_gib),
            )
        self._close = weakref.finalize(self, self._llm.llm_engine.engine_core.shutdown)
        VllmEngine._close_open = self._close
        self.load_weights(model)

    def generate(
        self, requests: Sequence[Request], on_finish: OnFinish | None = None
    ) -> list[Completion]:
        """Sample every request; the completions are in the order of the requests.

        `on_finish` is called as each one finishes. Raises SamplingError as the embedded engine.
        """
        self.check(requests)
        if not requests:
            return []
        self._require_open()
        self._forget()
        done: dict[int, Completion] = {}
        with _apart(self._device), self._running(requests) as outputs:
            for output in outputs:
                index = int(output.request_id)
                done[index] = _completion(requests[index], output.outputs[0])
                if on_finish is not None:
                    on_finish(index, done[index])
        return [done[index] for index in range(len(requests))]

    def check(self, requests: Sequence[Request]) -> None:
        """Raise SamplingError for a request that cannot be served."""
        check_for_vllm(requests, self.max_length, self.vocab_size)

    def load_weights(self, model: Any) -> None:
        """Copy this model's weights, adapters added in, into the engine.

        Raises SamplingError where the engine did not take them all.
        """
        self._require_open()
        weights = checkpoint_weights(model)
        with _apart(self._device):
            self._llm.collective_rpc(
                "reload_weights", kwargs={"weights_iterator": iter(weights.items())}
            )
        require_agreement(self, model)

    @contextlib.contextmanager
    def _running(self, requests: Sequence[Request]) -> Iterator[Iterator[Any]]:
        """The outputs of the requests, named by their numbers, as they finish; what is left when
        the caller leaves early is given up."""
        engine = self._llm.llm_engine
        try:
            for index, request in enumerate(requests):
                prompt = {"type": "token", "prompt_token_ids": request.prompt_ids}
                engine.add_request(str(index), prompt, self._params(request))
            yield (output for output in _steps(engine) if output.finished)
        finally:
            engine.abort_request([str(index) for index in range(len(requests))])

    def _require_open(self) -> None:
        if not self._close.alive:
            raise SamplingError(
                "this vLLM engine was closed when another was opened in the same process; use that"
            )

    def _forget(self) -> None:
        """Drop the keys and values of earlier calls: those of other weights would be wrong, and
        any would make this call's last bits depend on what was sampled before."""
        if not self._llm.reset_prefix_cache():
            raise SamplingError("vLLM did not drop its prefix cache; requests are still running")

    def _params(self, request: Request) -> Any:
        params = request.params
        return self._vllm.SamplingParams(
            temperature=params.temperature,
            top_p=params.top_p,
            top_k=params.top_k,
            max_tokens=params.max_tokens,
            seed=params.seed,
            stop_token_ids=sorted(self.stop_ids),
            ignore_eos=True,  # the stop tokens are those above and no others
            logprobs=0,  # of the sampled token alone
            detokenize=False,
            output_kind=self._vllm.sampling_params.RequestOutputKind.FINAL_ONLY,
        )


def _steps(engine: Any) -> Iterator[Any]:
    while engine.has_unfinished_requests():
        yield from engine.step()


def cache_bytes(
    model: Any, max_batch: int, max_length: int, dtype: str, cache_gib: float = 0.0
) -> int:
    """Bytes of the keys and values of `max_batch` sequences, at most half of what is free."""
    if cache_gib:
        return int(cache_gib * 2**30)
    config = model.config.get_text_config()
    num_heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    per_token = 2 * config.num_hidden_layers * num_heads * head_dim * getattr(torch, dtype).itemsize
    needed = per_token * (max_batch + 1) * (max_length + BLOCK)
    return min(needed, _free_bytes(model.device) // 2)


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _completion(request: Request, output: Any) -> Completion:
    if output.finish_reason not in ("stop", "length"):
        raise SamplingError(f"vLLM ended a response by {output.finish_reason!r}")
    reported = [
        each[token].logprob for token, each in zip(output.token_ids, output.logprobs, strict=True)
    ]
    return completion_of(request.params, MODE, output.token_ids, reported, output.finish_reason)


def _config_of(model: Any) -> Any:
    config = copy.deepcopy(model.config)
    config.architectures = [type(model).__name__]
    return config


@contextlib.contextmanager
def _apart(device: torch.device) -> Iterator[None]:
    """vLLM seeds and draws from torch's global generators; training's numbers stay as they are."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _require_no_groups() -> None:
    if dist.is_initialized():
        raise SamplingError(
            f"sampler.engine is 'vllm' and training has process groups ({dist.get_world_size()} "
            "processes), which vLLM would take for its own; run one process with "
            "parallel.cpu_offload = false, or take 'embedded'"
        )


def _import_vllm(device: str) -> ModuleType:
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # weights pass by reference
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    if device == "cpu":
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    try:
        import vllm
    except ImportError as error:
        raise MissingError(
            f"sampler.engine is 'vllm', which needs vLLM ({error}); pip install "
            "'minireason[vllm]' on Linux with CUDA, or set sampler.engine = 'embedded'"
        ) from error
    return vllm
