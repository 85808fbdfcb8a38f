"""A teacher behind any server that speaks the OpenAI chat protocol (vLLM, llama.cpp, SGLang, ...).

Every sample is a request of its own (n = 1), so each has its own seed. The protocol's seeds are
31 bits in some servers: the low 31 bits of the derived seed are sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from minireason.endpoint.asking import Asked, ask_all
from minireason.endpoint.server import Endpoint
from minireason.endpoint.session import Request
from minireason.messages import prompt_messages
from minireason.records import Question, Rollout
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.teacher import Job, Sample
from minireason.seeding import derive_seed

SENT = ("temperature", "top_p", "top_k", "max_tokens", "seed")
"""The sampling settings that a teacher is asked for; the others are the embedded engine's."""


@dataclass(frozen=True, slots=True)
class OpenAITeacher:
    """Samples one by one from the endpoint, which says how many run at once."""

    endpoint: Endpoint
    system_prompt: str = ""

    @property
    def name(self) -> str:
        return self.endpoint.model

    def settings(self, params: SamplingParams) -> dict[str, Any]:
        """What a sample depends on besides its question and index; not where the server is."""
        sent = {name: getattr(params, name) for name in SENT}
        return {"model": self.name, "system_prompt": self.system_prompt, **sent}

    def samples(
        self, jobs: Iterable[Job], params: SamplingParams, keep: Callable[[Sample], None]
    ) -> Iterator[Sample]:
        """What became of each job; requests start in the jobs' order. Errors as in `ask_all`."""

        def requests() -> Iterator[tuple[Job, Request]]:
            for question, index in jobs:
                yield (question, index), self._request(question, index, params)

        def sample(asked: Asked[Job]) -> Sample:
            return self._sample(asked, params)

        for asked in ask_all(self.endpoint, requests(), lambda asked: keep(sample(asked))):
            yield sample(asked)

    def _request(self, question: Question, index: int, params: SamplingParams) -> Request:
        request = {
            "model": self.name,
            "messages": prompt_messages(question, self.system_prompt),
            "temperature": params.temperature,
            "top_p": params.top_p,
            "max_tokens": params.max_tokens,
            "seed": derive_seed(params.seed, question.id, index) & 0x7FFFFFFF,
        }
        return request | ({"top_k": params.top_k} if params.top_k else {})  # not in the standard

    def _sample(self, asked: Asked[Job], params: SamplingParams) -> Sample:
        question, index = asked.key
        if asked.reply is None:
            return Sample(question.id, index, None, asked.usage, asked.failure)
        rollout = Rollout(
            question_id=question.id,
            index=index,
            response=asked.reply.text,
            model=self.name,
            finish_reason=asked.reply.finish_reason,
            num_tokens=asked.usage.completion_tokens,
            temperature=params.temperature,
            top_p=params.top_p,
            seed=derive_seed(params.seed, question.id, index),
        )
        return Sample(question.id, index, rollout, asked.usage)
