"""A vLLM server as the sampler: token ids in and out through `/completions`.

1. Which of a completion's log-probabilities the server reports depends on how it was started; it is
   asked once, see `vllm_terms`. `--logprobs-mode processed_logprobs` is what training wants.
2. Weights travel as files, so the server must see the folder they are written to, and its routes
   for development must be open (VLLM_SERVER_DEV_MODE=1). Weights that did not arrive, or that a
   restart of the server has lost, are errors.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from minireason.endpoint.asking import ask_all
from minireason.endpoint.session import Request as Body
from minireason.endpoint.tokens import TokenEndpoint, TokenReply
from minireason.errors import SamplingError
from minireason.model.weights import checkpoint_weights
from minireason.rollout.agreement import require_agreement
from minireason.rollout.control import ServerControl
from minireason.rollout.request import Completion, OnFinish, Request
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.vllm_terms import LogprobsMode, check_for_vllm, completion_of

NUM_PROBED = 16  # tokens


class ServedEngine:
    """Samples from the vLLM server at `base_url`, `concurrency` requests at a time.

    `folder` is where `load_weights` writes and the server reads. Raises SamplingError where the
    server does not answer or takes less than `max_length` tokens of prompt plus response.
    """

    def __init__(
        self,
        base_url: str,
        stop_ids: Collection[int],
        max_length: int,
        vocab_size: int,
        folder: Path,
        concurrency: int = 64,
    ) -> None:
        self.max_length, self.vocab_size = max_length, vocab_size
        self.stop_ids, self.folder = frozenset(stop_ids), folder
        self.control = ServerControl(base_url)
        name = self.control.served_model(max_length)
        self.endpoint = TokenEndpoint(base_url, name, concurrency=concurrency)
        self._mode: LogprobsMode | None = None
        self._version = ""  # of the weights that were loaded; none yet

    def generate(
        self, requests: Sequence[Request], on_finish: OnFinish | None = None
    ) -> list[Completion]:
        """Sample every request; the completions are in the order of the requests.

        `on_finish` is called as each one finishes. Raises SamplingError as the embedded engine,
        where a request fails for good, and where the server no longer has the weights it was given.
        """
        self.check(requests)
        if not requests:
            return []
        if self._mode is None:
            self._mode = self._probe(requests[0].prompt_ids)
        self._require_version()
        done: dict[int, Completion] = {}
        bodies = ((index, self._body(request)) for index, request in enumerate(requests))
        for asked in ask_all(self.endpoint, bodies):
            if asked.reply is None:
                raise SamplingError(f"{self.endpoint.url} failed: {asked.failure}")
            assert isinstance(asked.reply, TokenReply)
            index = asked.key
            done[index] = self._completion(requests[index], asked.reply, self._mode)
            if on_finish is not None:
                on_finish(index, done[index])
        self._require_version()
        return [done[index] for index in range(len(requests))]

    def check(self, requests: Sequence[Request]) -> None:
        """Raise SamplingError for a request that cannot be served."""
        check_for_vllm(requests, self.max_length, self.vocab_size)

    def load_weights(self, model: Any) -> None:
        """Have the server take this model's weights, adapters added in, and forget its cache.

        Raises SamplingError where it cannot, or did not take them all.
        """
        version = uuid.uuid4().hex
        path = self.folder / f"weights-{version}"  # a new one: the server may still map the last
        path.mkdir(parents=True)
        try:
            weights = checkpoint_weights(model)
            alone = {name: w.to("cpu", copy=True).contiguous() for name, w in weights.items()}
            save_file(alone, path / "model.safetensors", {"format": "pt"})
            self.control.reload(path.resolve(), version)
        finally:
            shutil.rmtree(path)
        self._version = version
        require_agreement(self, model)

    def _require_version(self) -> None:
        found = self.control.weight_version() if self._version else ""
        if found != self._version:
            raise SamplingError(
                f"{self.control.root} has weights {found!r} and not those it was given, "
                f"{self._version!r}: it was started again, or another run updated it; give every "
                "run a server of its own, and run again to go on"
            )

    def _probe(self, prompt_ids: list[int]) -> LogprobsMode:
        """Where all but one token are cut away, that one's log-probability is 0 or the uncut."""
        params = SamplingParams(
            temperature=1.0,
            top_p=1.0,
            top_k=1,
            max_tokens=min(NUM_PROBED, self.max_length - len(prompt_ids)),
        )
        body = {**self._body(Request(prompt_ids, params)), "stop_token_ids": []}
        [asked] = ask_all(self.endpoint, [(0, body)])
        if not isinstance(asked.reply, TokenReply):
            raise SamplingError(f"{self.endpoint.url} failed: {asked.failure}")
        return "raw_logprobs" if any(asked.reply.logprobs) else "processed_logprobs"

    def _body(self, request: Request) -> Body:
        params = request.params
        return {
            "model": self.endpoint.model,
            "prompt": request.prompt_ids,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "top_k": params.top_k,
            "min_p": 0.0,  # the server may have defaults of its own
            "repetition_penalty": 1.0,
            "max_tokens": params.max_tokens,
            "seed": params.seed,
            "stop_token_ids": sorted(self.stop_ids),
            "ignore_eos": True,  # the stop tokens are those above and no others
            "logprobs": 0,  # of the sampled token alone
            "return_token_ids": True,
        }

    def _completion(self, request: Request, reply: TokenReply, mode: LogprobsMode) -> Completion:
        is_stop = reply.token_ids[-1] in self.stop_ids
        if is_stop != (reply.finish_reason == "stop"):
            raise SamplingError(
                f"{self.endpoint.url} ended a response by {reply.finish_reason!r} after token "
                f"{reply.token_ids[-1]}, and the stop tokens are {sorted(self.stop_ids)}; start "
                "the server with --generation-config vllm"
            )
        return completion_of(
            request.params, mode, reply.token_ids, reply.logprobs, "stop" if is_stop else "length"
        )
