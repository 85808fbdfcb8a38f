"""The model that is being trained as a teacher: its own rollouts, through the teacher protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from minireason.messages import prompt_messages
from minireason.model.chat import Chat
from minireason.model.load import LanguageModel
from minireason.records import Question, Rollout
from minireason.rollout.engine import Engine
from minireason.rollout.request import Completion, Request
from minireason.rollout.sampling import SamplingParams
from minireason.rollout.stopping import Reader
from minireason.seeding import derive_seed

THINKING_END = "</think>"
Generate = Callable[[Sequence[Request]], list[Completion]]


class PolicyTeacher:
    """Answers questions with the embedded engine.

    A response longer than the context allows ends with finish reason `length`. The engine gets
    `questions_per_call` questions at a time: with shards of that size, what is sampled together
    and so every bit of the result is the same after an interruption. `generate` may be replaced by
    that of a crew of processes.
    """

    def __init__(
        self,
        language_model: LanguageModel,
        name: str,
        *,
        max_batch: int,
        max_length: int,
        cache_gib: float = 0.0,
        questions_per_call: int = 256,
        system_prompt: str = "",
    ) -> None:
        self.name = name
        self.chat = Chat(language_model.tokenizer)
        self.system_prompt = system_prompt
        self.questions_per_call = questions_per_call
        limit = getattr(language_model.model.config, "max_position_embeddings", max_length)
        self.max_length = min(max_length, limit)
        ids = language_model.tokenizer.encode(THINKING_END, add_special_tokens=False)
        self.engine = Engine(
            language_model.model,
            self.chat.stop_ids,
            max_batch,
            self.max_length,
            cache_gib,
            Reader(self.chat.decode, tuple(ids)),
        )
        self.generate: Generate = self.engine.generate

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
        room = max(1, self.max_length - len(prompt_ids))
        seed = derive_seed(params.seed, question.id, index)
        return Request(
            prompt_ids, replace(params, seed=seed, max_tokens=min(params.max_tokens, room))
        )
