"""Asking a model the gate's questions, with the token ids that the comparison needs."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minireason.errors import PromptTooLongError
from minireason.evaluate.benchmarks import Asked, benchmark_folder, check_labels, open_benchmark
from minireason.evaluate.sample import ScoredSample, score, unfit
from minireason.evaluate.sampling import Sampling, turn_of
from minireason.evaluate.settings import benchmark_settings
from minireason.export.gate_settings import GateSettings
from minireason.inference.backend import Response, Turn
from minireason.inference.thinking import with_begin
from minireason.journal import Entry, Journal
from minireason.progress import Progress
from minireason.records import Question
from minireason.rollout.request import Completion, Request
from minireason.verify.verifier import Verifier

if TYPE_CHECKING:
    from minireason.inference.local import LocalBackend


Job = tuple[Asked, Question, int]
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """A judged response as token ids; the stop token is among them where there is one.

    Both are empty where the prompt left no room.
    """

    prompt_ids: Sequence[int]
    token_ids: Sequence[int]
    sample: ScoredSample


class Kept:
    """The responses of a gate that are finished, in a folder until its figures are stored.

    `made_with` is what must be the same for them to be those of this gate.
    """

    def __init__(self, folder: Path, made_with: Mapping[str, Any]) -> None:
        self.folder, self._made_with = folder, made_with
        self._journals: list[Journal] = []

    def journal(self, model: Any, benchmarks: Sequence[Asked], sampling: Sampling) -> Journal:
        """That of these questions, asked of this model in this way."""
        made_with = {
            **self._made_with,
            "model": model,
            "sampling": asdict(sampling),
            "questions": {one.label: benchmark_settings(one, sampling, {}) for one in benchmarks},
        }
        name = hashlib.sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()[:16]
        journal = Journal(self.folder / f"{name}.jsonl", made_with)
        self._journals.append(journal)
        return journal

    def remove(self) -> None:
        """Delete the journals that were asked for; those of other gates stay."""
        for journal in self._journals:
            journal.remove()

    def close(self) -> None:
        """Delete the folder where there is no journal in it."""
        if not any(self.folder.glob("*.jsonl")):
            shutil.rmtree(self.folder)


def open_questions(settings: GateSettings) -> list[Asked]:
    """The benchmarks of the gate.

    Raises as `open_benchmark` and `check_labels`.
    """
    found = [
        open_benchmark(
            name,
            settings.num_questions,
            settings.seed,
            folder=benchmark_folder(settings.data),
            allow_hub=settings.allow_hub,
        )
        for name in settings.benchmarks
    ]
    check_labels(found, "their figures could not be told apart; rename one, or leave one out")
    return found


def answer(
    backend: LocalBackend,
    benchmarks: Sequence[Asked],
    sampling: Sampling,
    verifier: Verifier,
    progress: Progress,
    journal: Journal | None = None,
) -> list[Answer]:
    """The answers to all questions, sample by sample in their order; all are asked at once.

    What the journal holds is not asked again. A prompt that leaves no room in the context is
    answered wrongly, by no tokens, as in `evaluate`.
    """
    jobs = [
        (one, question, index)
        for one in benchmarks
        for question in one.questions
        for index in range(sampling.num_samples)
    ]
    requests = [_fitting(backend, turn_of(*job, sampling)) for job in jobs]
    asked = {_key(job): request for job, request in zip(jobs, requests, strict=True) if request}
    withheld = frozenset(one.label for one in benchmarks if one.is_withheld)
    done = _completed(backend, asked, withheld, progress, journal)
    is_inside = backend.starts_thinking()
    answers = []
    for job, request in zip(jobs, requests, strict=True):
        if request is None:
            answers.append(Answer((), (), unfit(*job)))
            continue
        token_ids, finish_reason = done[_key(job)].token_ids, done[_key(job)].finish_reason
        text = with_begin(backend.chat.decode(token_ids), is_inside)
        sample = score(*job, Response(text, finish_reason, len(token_ids)), verifier)
        answers.append(Answer(request.prompt_ids, token_ids, sample))
    return answers


def _completed(
    backend: LocalBackend,
    asked: Mapping[Key, Request],
    withheld: frozenset[str],
    progress: Progress,
    journal: Journal | None,
) -> dict[Key, Completion]:
    """A completion of each request, from the journal or sampled now.

    What is sampled goes into the journal, but for responses to a withheld benchmark.
    """
    entries = journal.entries() if journal else []
    done = {_key_of(entry): Completion(entry["ids"], [], entry["end"]) for entry in entries}
    missing = [key for key in asked if key not in done]
    num_tokens = sum(len(completion.token_ids) for completion in done.values())
    with progress.track(backend.name) as advance:

        def keep(number: int, completion: Completion) -> None:
            nonlocal num_tokens
            done[missing[number]] = completion
            num_tokens += len(completion.token_ids)
            label, question_id, index = missing[number]
            if journal and label not in withheld:
                said = {"ids": completion.token_ids, "end": completion.finish_reason}
                journal.append({"benchmark": label, "question": question_id, "index": index} | said)
            advance(len(done), len(asked), f"{num_tokens:,} tokens")

        advance(len(done), len(asked), f"{num_tokens:,} tokens")
        if missing:
            backend.engine.generate([asked[key] for key in missing], keep)
    return done


def _key(job: Job) -> Key:
    one, question, index = job
    return one.label, question.id, index


def _key_of(entry: Entry) -> Key:
    return entry["benchmark"], entry["question"], entry["index"]


def _fitting(backend: LocalBackend, turn: Turn) -> Request | None:
    """The turn as token ids; None where they leave no room."""
    try:
        return backend.request(turn)
    except PromptTooLongError:
        return None
