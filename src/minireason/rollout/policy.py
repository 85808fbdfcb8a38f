"""The model that is being trained as a teacher: its own rollouts, through the teacher protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from minireason.errors import SamplingError
from minireason.messages import prompt_messages
from minireason.model.chat import Chat
from minireason.records import Question, Rollout
from minireason.rollout.request import Completion, Request, Sampler
from minireason.rollout.sampling import SamplingParams
from minireason.seeding import derive_seed

Generate = Callable[[Sequence[Request]], list[Completion]]


class PolicyTeacher:
    """Answers questions with a sampler of the model.

    A response longer than the context allows ends with finish reason `length`. The sampler gets
    `questions_per_call` questions at a time: with shards of that size, what is sampled together
    and so every bit of the result is the same after an interruption. `generate` may be replaced by
    that of a crew of processes.
    """

    def __init__(
        self,
        engine: Sampler,
        chat: Chat,
        name: str,
        *,
        questions_per_call: int = 256,
        system_prompt: str = "",
    ) -> None:
        self.engine, self.chat, self.name = engine, chat, name
        self.system_prompt = system_prompt
        self.questions_per_call = questions_per_call
        self.generate: Generate = engine.generate

    def sample(
        self, questions: Sequence[Question], num_rollouts: int, params: SamplingParams
    ) -> Iterator[list[Rollout]]:
        """The rollouts of each question, in the questions' order."""
        for start in range(0, len(questions), self.questions_per_call):
            part = questions[start : start + self.questions_per_call]
            requests = [
                self._request(question, index, params)
                for question in part
                for index in range(num_rollouts)
            ]
            completions = self.generate(requests)
            rollouts = [
                self._rollout(part[number // num_rollouts], number % num_rollouts, *sampled)
                for number, sampled in enumerate(zip(requests, completions, strict=True))
            ]
            for first in range(0, len(rollouts), num_rollouts):
                yield rollouts[first : first + num_rollouts]

    def _rollout(
        self, question: Question, index: int, request: Request, completion: Completion
    ) -> Rollout:
        return Rollout(
            question_id=question.id,
            index=index,
            response=self.chat.decode(completion.token_ids),
            model=self.name,
            finish_reason=completion.finish_reason,
            num_tokens=len(completion.token_ids),
            temperature=request.params.temperature,
            top_p=request.params.top_p,
            seed=request.params.seed,
        )

    def _request(self, question: Question, index: int, params: SamplingParams) -> Request:
        prompt_ids = self.chat.prompt_ids(prompt_messages(question, self.system_prompt))
        room = self.engine.max_length - len(prompt_ids)
        if room < 1:
            raise SamplingError(
                f"question {question.id!r} is {len(prompt_ids)} tokens long and the context "
                f"{self.engine.max_length}; raise model.max_length, or leave the question out"
            )
        seed = derive_seed(params.seed, question.id, index)
        return Request(
            prompt_ids, replace(params, seed=seed, max_tokens=min(params.max_tokens, room))
        )
