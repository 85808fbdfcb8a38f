"""Evaluate: pass@1 of one rung on every benchmark, over several samples a question, and compared
in pairs with the rung before."""

from __future__ import annotations

from pathlib import Path

from minireason.evaluate.benchmarks import benchmark_label, benchmark_questions
from minireason.evaluate.summary import Previous, summarize
from minireason.records import EvalSample, Question, read_records, write_records
from minireason.rollout.crew import lead
from minireason.rollout.policy import PolicyTeacher
from minireason.rollout.sampling import SamplingParams
from minireason.runfolder import write_json
from minireason.step import Counts, StepContext
from minireason.verify.rollouts import verify_rollouts
from minireason.verify.verifier import Verifier, open_verifier
from minireason.workbench import open_model, open_policy


def evaluate(step: StepContext) -> Counts:
    """Write `samples/BENCHMARK.parquet` (EvalSample) and `summary.json`."""
    policy = open_policy(step.recipe, open_model(step), rung_of(step.folder))
    return lead(step.world, policy, lambda: measure(step, policy))


def measure(step: StepContext, policy: PolicyTeacher) -> Counts:
    """Ask what has not been asked, benchmark by benchmark, and sum up."""
    settings = step.recipe.evaluate
    rung = rung_of(step.folder)
    folder = step.folder / "samples"
    folder.mkdir(exist_ok=True)
    samples: dict[str, list[EvalSample]] = {}
    expected_ids: dict[str, list[str]] = {}
    with (
        open_verifier(**step.recipe.verify.model_dump()) as verifier,
        step.progress.track(f"evaluate {rung}") as advance,
    ):
        for number, name in enumerate(settings.benchmarks):
            label = benchmark_label(name)
            path = folder / f"{label}.parquet"
            questions = benchmark_questions(name, settings.limit, settings.seed)
            expected_ids[label] = [question.id for question in questions]
            if not path.is_file():
                write_records(path, ask(step, policy, verifier, label, questions), EvalSample)
            samples[label] = read_records(path, EvalSample)
            advance(number + 1, len(settings.benchmarks), label)
    summary = summarize(
        samples,
        rung,
        policy.name,
        _previous(step.inputs.get("previous"), list(samples)),
        sampling=settings.model_dump(),
        expected_ids=expected_ids,
    )
    write_json(step.folder / "summary.json", summary)
    total = sum(map(len, samples.values()))
    return {"in": total, "out": total}


def ask(
    step: StepContext,
    policy: PolicyTeacher,
    verifier: Verifier,
    label: str,
    questions: list[Question],
) -> list[EvalSample]:
    """Sample and judge every question of one benchmark."""
    settings = step.recipe.evaluate
    params = SamplingParams(
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_tokens=settings.max_tokens,
        seed=settings.seed,
    )
    sampled = policy.sample(questions, settings.num_samples, params)
    rollouts = [rollout for group in sampled for rollout in group]
    verdicts = verify_rollouts(verifier, questions, rollouts)
    by_id = {question.id: question for question in questions}
    return [
        EvalSample(
            benchmark=label,
            question_id=rollout.question_id,
            index=rollout.index,
            question=by_id[rollout.question_id].text,
            answer=by_id[rollout.question_id].answer,
            response=rollout.response,
            verdict=verdict.verdict,
            extracted=verdict.extracted,
            method=verdict.method,
            finish_reason=rollout.finish_reason,
            num_tokens=rollout.num_tokens,
            domain=by_id[rollout.question_id].domain,
            level=by_id[rollout.question_id].level,
        )
        for rollout, verdict in zip(rollouts, verdicts, strict=True)
    ]


def _previous(folder: Path | None, labels: list[str]) -> Previous | None:
    if folder is None:
        return None
    samples = {
        label: read_records(folder / "samples" / f"{label}.parquet", EvalSample) for label in labels
    }
    return Previous(rung=rung_of(folder), samples=samples)


def rung_of(folder: Path) -> str:
    return folder.name.removeprefix("evaluate-")
