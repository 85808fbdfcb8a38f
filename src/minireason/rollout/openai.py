"""A teacher behind any server that speaks the OpenAI chat protocol (vLLM, llama.cpp, SGLang, ...).

Every sample is a request of its own (n = 1), so each has its own seed. The protocol's seeds are
31 bits in some servers: the low 31 bits of the derived seed are sent. Thinking that the server
returns in a field of its own is put back before the answer, between <think> marks.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minireason.errors import SamplingError
from minireason.messages import prompt_messages
from minireason.records import Question, Rollout
from minireason.rollout.background import emitted
from minireason.rollout.retry import is_retriable, wait_s
from minireason.rollout.sampling import SamplingParams
from minireason.seeding import derive_seed

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, slots=True)
class OpenAITeacher:
    """Samples from `{base_url}/chat/completions`, `concurrency` requests at a time.

    The key is read from the environment variable `api_key_env` when sampling starts; without
    one no Authorization header is sent. `timeout_s` bounds one request. Server errors (429, 5xx)
    and broken connections are tried `max_retries` times more, after `backoff_s` doubled each
    time, or after what the server's Retry-After asks for.
    """

    base_url: str
    model: str
    api_key_env: str = "OPENAI_API_KEY"
    system_prompt: str = ""
    concurrency: int = 32
    timeout_s: float = 1800.0
    max_retries: int = 6
    backoff_s: float = 1.0

    def __post_init__(self) -> None:
        if not self.base_url.startswith(("http://", "https://")):
            raise SamplingError(
                f"base_url is {self.base_url!r}; give a URL such as http://127.0.0.1:8000/v1"
            )
        if self.concurrency < 1 or self.max_retries < 0 or not self.timeout_s > 0:
            raise SamplingError(
                f"concurrency is {self.concurrency}, max_retries {self.max_retries}, timeout_s "
                f"{self.timeout_s}; allowed are 1 or more, 0 or more, and above 0"
            )

    @property
    def name(self) -> str:
        return self.model

    @property
    def url(self) -> str:
        return self.base_url.rstrip("/") + "/chat/completions"

    def sample(
        self, questions: Sequence[Question], num_rollouts: int, params: SamplingParams
    ) -> Iterator[list[Rollout]]:
        """The rollouts of each question as soon as its last one is there.

        Requests start in the questions' order. Raises SamplingError when a sample fails for good;
        what was finished before has been yielded. Closing the iterator cancels what is running.
        """

        async def produce(emit: Callable[[list[Rollout]], None]) -> None:
            jobs = ((question, index) for question in questions for index in range(num_rollouts))
            done: dict[str, list[Rollout]] = {}

            async def work(client: httpx.AsyncClient) -> None:
                for question, index in jobs:  # shared by all workers: each takes the next one
                    rollout = await self._rollout(client, question, index, params)
                    group = done.setdefault(question.id, [])
                    group.append(rollout)
                    if len(group) == num_rollouts:
                        emit(sorted(done.pop(question.id), key=lambda r: r.index))

            async with self._client() as client:
                workers = [asyncio.create_task(work(client)) for _ in range(self.concurrency)]
                try:
                    await asyncio.gather(*workers)
                finally:
                    for worker in workers:
                        worker.cancel()
                    await asyncio.gather(*workers, return_exceptions=True)

        return emitted(produce)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[httpx.AsyncClient]:
        import httpx

        key = os.environ.get(self.api_key_env, "").strip() if self.api_key_env else ""
        async with httpx.AsyncClient(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(self.timeout_s, connect=min(30.0, self.timeout_s)),
            limits=httpx.Limits(
                max_connections=self.concurrency, max_keepalive_connections=self.concurrency
            ),
        ) as client:
            yield client

    async def _rollout(
        self, client: httpx.AsyncClient, question: Question, index: int, params: SamplingParams
    ) -> Rollout:
        seed = derive_seed(params.seed, question.id, index)
        reply = await self._post(client, self._request(question, params, seed))
        response, finish_reason, num_tokens = self._read(reply)
        return Rollout(
            question_id=question.id,
            index=index,
            response=response,
            model=self.model,
            finish_reason=finish_reason,
            num_tokens=num_tokens,
            temperature=params.temperature,
            top_p=params.top_p,
            seed=seed,
        )

    def _request(self, question: Question, params: SamplingParams, seed: int) -> dict[str, Any]:
        request = {
            "model": self.model,
            "messages": prompt_messages(question, self.system_prompt),
            "temperature": params.temperature,
            "top_p": params.top_p,
            "max_tokens": params.max_tokens,
            "seed": seed & 0x7FFFFFFF,
        }
        return request | ({"top_k": params.top_k} if params.top_k else {})  # not in the standard

    async def _post(self, client: httpx.AsyncClient, request: dict[str, Any]) -> httpx.Response:
        import httpx

        for attempt in range(self.max_retries + 1):
            retry_after = ""
            try:
                reply = await client.post(self.url, json=request)
            except httpx.RequestError as error:
                failure = f"{type(error).__name__} {error}".strip()
            else:
                if reply.is_success:
                    return reply
                failure = f"status {reply.status_code}: {reply.text[:500].strip()}"
                if not is_retriable(reply.status_code):
                    raise SamplingError(f"{self.url} refused: {failure}{self._hint(reply)}")
                retry_after = reply.headers.get("retry-after", "")
            if attempt < self.max_retries:
                await asyncio.sleep(wait_s(attempt, self.backoff_s, request["seed"], retry_after))
        raise SamplingError(
            f"{self.url} gave no answer in {self.max_retries + 1} tries, at last {failure}; see "
            f"that the server runs, or lower the concurrency, then run again to go on"
        )

    def _hint(self, reply: httpx.Response) -> str:
        if reply.status_code not in (401, 403):
            return ""
        state = "is set" if os.environ.get(self.api_key_env) else "is not set"
        return f" (the key is read from {self.api_key_env}, which {state})"

    def _read(self, reply: httpx.Response) -> tuple[str, str, int]:
        """Response text, finish reason and token count of a reply.

        Whatever the server calls an end other than "stop" (a filter, say) counts as "length":
        the response is not whole.
        """
        try:
            body = reply.json()
            choice = body["choices"][0]
            message = choice["message"]
            content = message.get("content") or ""
            thinking = message.get("reasoning_content") or message.get("reasoning") or ""
            num_tokens = int((body.get("usage") or {}).get("completion_tokens") or 0)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise SamplingError(
                f"{self.url} sent no chat completion but {reply.text[:200]!r}; see that base_url "
                f"ends before /chat/completions"
            ) from error
        text = f"<think>{thinking}</think>{content}" if thinking else content
        return text, "stop" if choice.get("finish_reason") == "stop" else "length", num_tokens
