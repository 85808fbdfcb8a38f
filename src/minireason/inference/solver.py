"""A model to ask from Python: `minireason.load(...)` gives a `Solver`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypedDict, Unpack

from minireason.errors import SamplingError
from minireason.inference.backend import Backend, Response, Turn
from minireason.inference.budget import respond_within, stream_within
from minireason.inference.resolve import open_backend
from minireason.inference.server import MAX_TOKENS
from minireason.inference.thinking import Part, ThinkingSplitter, split_thinking, with_begin
from minireason.marks import THINK_END
from minireason.records import Message
from minireason.rollout.sampling import SamplingParams
from minireason.seeding import derive_seed
from minireason.verify.extract import extract
from minireason.verify.verifier import Verifier
from minireason.verify.voting import group_answers


class Options(TypedDict, total=False):
    """How to sample; what is left out is temperature 0.6, top-p 0.95 and as many tokens as fit."""

    temperature: float
    top_p: float
    max_tokens: int
    seed: int
    thinking_budget: int
    system: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One response: `text` is all of it, `content` what stands behind its thinking.

    `answer` is the final answer found in it, as the verifier finds it ("" where there is none).
    """

    answer: str
    thinking: str
    content: str
    text: str
    tokens: int
    finish_reason: str


@dataclass(frozen=True, slots=True)
class Solution:
    """What the model says to a question: the answer that most samples agree on.

    `confidence` is their share of all samples, None of a single one; thinking and text are those
    of the first of them, `tokens` is the sum over all samples.
    """

    question: str
    answer: str
    thinking: str
    text: str
    tokens: int
    confidence: float | None
    samples: tuple[Sample, ...]


class Solver:
    """A model behind a backend, asked in questions or messages.

    The same seed gives the same samples, whatever is asked beside (embedded).
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self._is_inside = backend.starts_thinking()

    def solve(self, question: str, samples: int = 1, **options: Unpack[Options]) -> Solution:
        """The answer to one question."""
        return self.solve_all([question], samples, **options)[0]

    def solve_all(
        self, questions: Sequence[str], samples: int = 1, **options: Unpack[Options]
    ) -> list[Solution]:
        """The answers to many, sampled together. Raises SamplingError for what cannot be asked."""
        if isinstance(questions, str) or samples < 1:
            raise SamplingError(
                f"samples is {samples}, the questions a {type(questions).__name__}; "
                "give 1 or more samples, and a list of questions"
            )
        turns = [
            self._turn([{"role": "user", "content": question}], options, question, index)
            for question in questions
            for index in range(samples)
        ]
        responses = iter(respond_within(self.backend, turns, options.get("thinking_budget", 0)))
        taken = ([self._sample(r) for r in islice(responses, samples)] for _ in questions)
        with Verifier() as verifier:
            return [
                _solution(question, drawn, verifier)
                for question, drawn in zip(questions, taken, strict=True)
            ]

    def stream(self, question: str, **options: Unpack[Options]) -> Iterator[Part]:
        """The first sample that `solve` would draw, as it comes: parts of thinking and answer."""
        turn = self._turn([{"role": "user", "content": question}], options, question, 0)
        splitter = ThinkingSplitter(self._is_inside)
        for piece in stream_within(self.backend, turn, options.get("thinking_budget", 0)):
            yield from splitter.push(piece.text)
        yield from splitter.finish()

    def chat(self, messages: Sequence[Message], **options: Unpack[Options]) -> Sample:
        """The answer to a conversation. Earlier answers go into it without their thinking."""
        turn = self._turn([*map(_without_thinking, messages)], options, len(messages), 0)
        return self._sample(
            respond_within(self.backend, [turn], options.get("thinking_budget", 0))[0]
        )

    def _turn(self, messages: Sequence[Message], options: Options, *place: str | int) -> Turn:
        names = Options.__annotations__
        if unknown := sorted(options.keys() - names):
            raise SamplingError(f"there is no option {unknown[0]!r}; there are {', '.join(names)}")
        params = SamplingParams(
            options.get("temperature", 0.6),
            options.get("top_p", 0.95),
            max_tokens=options.get("max_tokens", self.backend.max_length or MAX_TOKENS),
            seed=derive_seed(options.get("seed", 0), *place),
        )
        system = options.get("system", "")
        first = [{"role": "system", "content": system}] if system else []
        return Turn([*first, *messages], params)

    def _sample(self, response: Response) -> Sample:
        thinking, content = split_thinking(response.text, self._is_inside)
        return Sample(
            extract(with_begin(response.text, self._is_inside)).text,
            thinking,
            content,
            response.text,
            response.num_tokens,
            response.finish_reason,
        )


def load(
    model: str,
    *,
    server: str = "",
    device: str = "auto",
    threads: int = 0,
    api_key_env: str = "OPENAI_API_KEY",
) -> Solver:
    """Open a model: a folder, an export, a run folder (its last rung), `tiny`, hub id or server's.

    Raises MissingError where there is none.
    """
    return Solver(
        open_backend(
            model, base_url=server, api_key_env=api_key_env, device=device, threads=threads
        )
    )


def _without_thinking(message: Message) -> Message:
    if message["role"] != "assistant":
        return message
    return {**message, "content": message["content"].rpartition(THINK_END)[2].lstrip()}


def _solution(question: str, samples: Sequence[Sample], verifier: Verifier) -> Solution:
    groups = group_answers(verifier, [sample.answer for sample in samples])
    winners = groups[0] if groups else []
    best = samples[winners[0] if winners else 0]
    return Solution(
        question,
        best.answer,
        best.thinking,
        best.text,
        sum(sample.tokens for sample in samples),
        len(winners) / len(samples) if len(samples) > 1 else None,
        tuple(samples),
    )
