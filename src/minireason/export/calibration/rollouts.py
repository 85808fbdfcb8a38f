"""What a model is calibrated on: its own correct responses to training questions.

They are of the model's own distribution, in its own style and length, and right; text from
elsewhere would have the rounding keep what the model never says. Benchmark questions are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from minireason.curate.deduplicate import text_key
from minireason.errors import DataError
from minireason.messages import assistant_message, prompt_messages
from minireason.model.chat import Chat
from minireason.model.load import LanguageModel
from minireason.problems.benchmarks import BENCHMARKS, load_benchmark
from minireason.problems.sources import load_questions
from minireason.progress import Progress
from minireason.records import Question, Rollout, read_records
from minireason.rollout.generate import generate_rollouts
from minireason.rollout.policy import PolicyTeacher
from minireason.rollout.samplers import SamplerSettings, open_sampler
from minireason.rollout.sampling import SamplingParams
from minireason.train.packing import TokenSequence, Unit
from minireason.verify.rollouts import verify_rollouts
from minireason.verify.verifier import Verifier


@dataclass(frozen=True, slots=True)
class RolloutSettings:
    """How many questions are answered how often; `max_tokens` and the context bound a response."""

    num_questions: int = 500
    num_rollouts: int = 4
    temperature: float = 0.8
    top_p: float = 1.0
    max_tokens: int = 32768
    max_batch: int = 64
    system_prompt: str = ""
    seed: int = 0


def calibration_questions(source: str, settings: RolloutSettings) -> list[Question]:
    """Questions of a run folder (those it was trained on) or of a file of questions.

    Raises DataError where one is a question of an embedded benchmark.
    """
    run = Path(source).expanduser() / "questions"
    limit, seed = settings.num_questions, settings.seed
    questions = load_questions(str(run) if run.is_dir() else source, limit=limit, seed=seed)
    refuse_benchmarks(questions)
    return questions


def refuse_benchmarks(questions: Sequence[Question]) -> None:
    """Raises DataError for a question with the id or the text of one of an embedded benchmark."""
    held_out = [question for name in BENCHMARKS for question in load_benchmark(name)]
    ids, texts = {q.id for q in held_out}, {text_key(q.text) for q in held_out}
    for question in questions:
        if question.id in ids or text_key(question.text) in texts:
            raise DataError(
                f"{question.id!r} is a benchmark's question, and a model calibrated on it could "
                "not be measured by it; give the questions of a training run"
            )


def own_correct_rollouts(
    language_model: LanguageModel,
    questions: Sequence[Question],
    settings: RolloutSettings,
    folder: Path,
    progress: Progress,
) -> list[list[Unit]]:
    """The model's correct, finished responses as training examples, by question.

    All responses are written to `folder`, where an interrupted sampling goes on. Raises DataError
    where none is correct.
    """
    chat = Chat(language_model.tokenizer)
    sampler = open_sampler(SamplerSettings(max_batch=settings.max_batch), language_model)
    policy = PolicyTeacher(sampler, chat, "self", system_prompt=settings.system_prompt)
    params = SamplingParams(
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=settings.max_tokens,
        seed=settings.seed,
    )
    with progress.track("rollouts") as advance:
        generate_rollouts(
            policy,
            questions,
            settings.num_rollouts,
            params,
            folder,
            on_progress=lambda done, total, usage: advance(done, total, "questions"),
        )
    correct = _correct(questions, read_records(folder, Rollout))
    if not correct:
        raise DataError(
            f"the model answered none of {len(questions)} questions correctly; give questions that "
            "it can answer"
        )
    return [_units(chat, question, own, settings) for question, own in correct]


def _correct(
    questions: Sequence[Question], rollouts: Sequence[Rollout]
) -> list[tuple[Question, list[str]]]:
    """Each question with its different responses that are correct and finished, if it has any."""
    with Verifier() as verifier:
        verdicts = verify_rollouts(verifier, questions, rollouts)
    found: dict[str, dict[str, None]] = {question.id: {} for question in questions}
    for rollout, verdict in zip(rollouts, verdicts, strict=True):
        if verdict.verdict == "correct" and rollout.finish_reason == "stop":
            found[rollout.question_id][rollout.response] = None
    return [(q, list(found[q.id])) for q in questions if found[q.id]]


def _units(
    chat: Chat, question: Question, responses: Sequence[str], settings: RolloutSettings
) -> list[Unit]:
    asked = prompt_messages(question, settings.system_prompt)
    several = [[*asked, assistant_message(response)] for response in responses]
    return [
        [TokenSequence([*prompt, *response], len(response))]
        for prompt, response in chat.conversations(several)
    ]
