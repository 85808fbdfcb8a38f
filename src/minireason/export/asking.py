"""Asking a model the gate's questions, with the token ids that the comparison needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minireason.errors import PromptTooLongError
from minireason.evaluate.benchmarks import Asked, benchmark_folder, open_benchmark
from minireason.evaluate.sample import ScoredSample, score, unfit
from minireason.evaluate.sampling import Sampling, turn_of
from minireason.export.gate_settings import GateSettings
from minireason.inference.backend import Response, Turn
from minireason.inference.thinking import with_begin
from minireason.progress import Progress
from minireason.rollout.request import Completion, Request
from minireason.verify.verifier import Verifier

if TYPE_CHECKING:
    from minireason.inference.local import LocalBackend


@dataclass(frozen=True, slots=True)
class Answer:
    """A judged response as token ids; the stop token is among them where there is one.

    Both are empty where the prompt left no room.
    """

    prompt_ids: Sequence[int]
    token_ids: Sequence[int]
    sample: ScoredSample


def open_questions(settings: GateSettings) -> list[Asked]:
    """The benchmarks of the gate. Raises as `open_benchmark`."""
    return [
        open_benchmark(
            name,
            settings.num_questions,
            settings.seed,
            folder=benchmark_folder(settings.data),
            allow_hub=settings.allow_hub,
        )
        for name in settings.benchmarks
    ]


def answer(
    backend: LocalBackend,
    benchmarks: Sequence[Asked],
    sampling: Sampling,
    verifier: Verifier,
    progress: Progress,
) -> list[Answer]:
    """The answers to all questions, sample by sample in their order; all are asked at once.

    A prompt that leaves no room in the context is answered wrongly, by no tokens, as in `evaluate`.
    """
    jobs = [
        (one, question, index)
        for one in benchmarks
        for question in one.questions
        for index in range(sampling.num_samples)
    ]
    requests = [_fitting(backend, turn_of(*job, sampling)) for job in jobs]
    asked = [request for request in requests if request is not None]
    num_done = num_tokens = 0
    with progress.track(backend.name) as advance:

        def count(_: int, completion: Completion) -> None:
            nonlocal num_done, num_tokens
            num_done, num_tokens = num_done + 1, num_tokens + len(completion.token_ids)
            advance(num_done, len(asked), f"{num_tokens:,} tokens")

        completions = iter(backend.engine.generate(asked, count))
    is_inside = backend.starts_thinking()
    answers = []
    for (one, question, index), request in zip(jobs, requests, strict=True):
        if request is None:
            answers.append(Answer((), (), unfit(one, question, index)))
            continue
        done = next(completions)
        text = with_begin(backend.chat.decode(done.token_ids), is_inside)
        response = Response(text, done.finish_reason, len(done.token_ids))
        sample = score(one, question, index, response, verifier)
        answers.append(Answer(request.prompt_ids, done.token_ids, sample))
    return answers


def _fitting(backend: LocalBackend, turn: Turn) -> Request | None:
    """The turn as token ids; None where they leave no room."""
    try:
        return backend.request(turn)
    except PromptTooLongError:
        return None
