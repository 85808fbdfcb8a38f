"""Asking a model a benchmark, sample by sample: what is finished is on disk and stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from minireason.errors import PromptTooLongError, RunFolderError
from minireason.evaluate.benchmarks import Asked
from minireason.evaluate.sample import ScoredSample, from_entry, score, to_entry, unfit
from minireason.evaluate.scorer import Scorer
from minireason.inference.backend import Backend, Response, Turn
from minireason.inference.thinking import with_begin
from minireason.journal import Journal
from minireason.messages import prompt_messages
from minireason.progress import Advance
from minireason.records import Question, read_records, write_records
from minireason.rollout.sampling import SamplingParams
from minireason.seeding import derive_seed
from minireason.verify.verifier import Verifier

Job = tuple[Question, int]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How every benchmark is sampled: `params.seed` is that of the whole evaluation.

    `scorer` chooses one sample of each question afterwards, beside the model's own probabilities.
    """

    num_samples: int
    params: SamplingParams
    system_prompt: str = ""
    keeps_withheld: bool = False
    scorer: Scorer | None = None


@runtime_checkable
class Measuring(Protocol):
    """A backend that knows how long a prompt is before it asks, as those of this machine do."""

    def request(self, turn: Turn) -> object:
        """Raises PromptTooLongError where the prompt leaves no room."""
        ...


def sample_benchmark(
    backend: Backend,
    asked: Asked,
    sampling: Sampling,
    verifier: Verifier,
    folder: Path,
    made_with: Mapping[str, Any],
    advance: Advance,
) -> list[ScoredSample]:
    """Write `LABEL.parquet` into `folder`, from what is there and what the backend adds to it.

    Until all samples are there they are lines of `LABEL.jsonl`, made with `made_with`. Raises
    RunFolderError where those were made with something else, and what the backend raises. A
    question that leaves no room in the context is answered wrongly; on a server it is the server's
    error.
    """
    path = folder / f"{asked.label}.parquet"
    if path.is_file():
        return _whole(path, asked, sampling.num_samples)
    journal = Journal(folder / f"{asked.label}.jsonl", made_with)
    done = _done(journal, asked, sampling.num_samples)
    jobs = [(q, index) for q in asked.questions for index in range(sampling.num_samples)]
    missing = [(q, index) for q, index in jobs if (q.id, index) not in done]
    unfit_ids = _unfit_ids(backend, asked, missing, sampling)
    for question, index in missing:
        if question.id in unfit_ids:
            done[question.id, index] = unfit(asked, question, index)
    missing = [(q, index) for q, index in missing if q.id not in unfit_ids]
    is_inside = backend.starts_thinking()
    num_tokens = 0

    def keep(number: int, response: Response) -> None:
        nonlocal num_tokens
        question, index = missing[number]
        sample = score(
            asked,
            question,
            index,
            replace(response, text=with_begin(response.text, is_inside)),
            verifier,
            keeps_withheld=sampling.keeps_withheld,
        )
        journal.append(to_entry(sample))
        done[question.id, index] = sample
        num_tokens += sample.num_tokens
        advance(len(done), len(jobs), f"{asked.label}: {num_tokens:,} tokens")

    advance(len(done), len(jobs), asked.label)
    if missing:
        turns = [turn_of(asked, question, index, sampling) for question, index in missing]
        backend.respond(turns, keep)
    samples = [done[question.id, index] for question, index in jobs]
    write_records(path, samples, ScoredSample)
    journal.remove()
    return samples


def _whole(path: Path, asked: Asked, num_samples: int) -> list[ScoredSample]:
    samples = read_records(path, ScoredSample)
    found = {(sample.question_id, sample.index) for sample in samples}
    if found != {(q.id, index) for q in asked.questions for index in range(num_samples)}:
        raise RunFolderError(
            f"{path} holds {len(samples)} samples, which are not {num_samples} of each of the "
            f"{len(asked.questions)} questions asked; give a new --out, or remove the file"
        )
    return samples


def turn_of(asked: Asked, question: Question, index: int, sampling: Sampling) -> Turn:
    """What is asked for one sample, with a seed of its own."""
    messages = prompt_messages(replace(question, text=asked.text(question)), sampling.system_prompt)
    seed = derive_seed(sampling.params.seed, question.id, index)
    return Turn(messages, replace(sampling.params, seed=seed))


def _unfit_ids(backend: Backend, asked: Asked, jobs: Sequence[Job], sampling: Sampling) -> set[str]:
    """The questions whose prompts leave no room; one that is asked often is measured once."""
    found: set[str] = set()
    if not isinstance(backend, Measuring):
        return found
    for question in {question.id: question for question, _ in jobs}.values():
        try:
            backend.request(turn_of(asked, question, 0, sampling))
        except PromptTooLongError:
            found.add(question.id)
    return found


def _done(journal: Journal, asked: Asked, num_samples: int) -> dict[tuple[str, int], ScoredSample]:
    questions = {question.id: question for question in asked.questions}
    done = {}
    for entry in journal.entries():
        question_id, index = str(entry["question_id"]), int(entry["index"])
        if question_id not in questions or not 0 <= index < num_samples:
            raise RunFolderError(
                f"{journal.path} holds a sample of {question_id!r}, which is not asked; give a new "
                f"--out, or remove the file"
            )
        done[question_id, index] = from_entry(entry, asked, questions[question_id])
    return done
