"""A made-up run folder with plausible numbers; the numbers are not results."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from minireason.evaluate.summary import summarize
from minireason.records import DOMAINS, LEVELS, EvalSample, PolicySample, write_records

RUNGS = ("base", "midtrain", "sft", "dpo", "rlvr")
SKILL = {"base": 0.1, "midtrain": 0.42, "sft": 0.55, "dpo": 0.57, "rlvr": 0.66}
BENCHMARKS = {"held-out": 60, "harder": 30}
ROWS = {
    "questions": {"in": 6120, "out": 6000, "dropped: duplicate": 104, "dropped: too long": 16},
    "rollout": {"in": 6000, "out": 48000},
    "verify": {"in": 48000, "out": 48000, "correct": 31200, "incorrect": 15900, "unknown": 900},
    "curate": {"in": 31200, "out": 24800, "dropped: repetitive": 2300, "dropped: near copy": 4100},
    "pairs": {"in": 15900, "out": 4200, "dropped: no correct rollout": 11700},
    "prompts": {"in": 2000, "out": 740, "dropped: solved too often": 1010, "dropped: uneven": 250},
}


def make_run(run_dir: Path, rungs: tuple[str, ...] = RUNGS, num_steps: int = 300) -> Path:
    """Write a run folder with these rungs; every rung but base has its training stage."""
    run_dir.mkdir(parents=True, exist_ok=True)
    run = {
        "name": "tiny-demo",
        "created": "2026-08-02 10:00 UTC",
        "command": ["minireason", "run", "recipes/tiny.toml"],
        "versions": {"minireason": "0.1.0", "torch": "2.11.0", "python": "3.11.9"},
        "recipe": '[run]\nname = "tiny-demo"\nseed = 0\n\n[rlvr]\nlr = 5e-7\n',
    }
    (run_dir / "run.json").write_text(json.dumps(run))
    for step, rows in ROWS.items():
        manifest = {"step": step, "rows": rows, "seconds": 4.2 * len(step) ** 2}
        (run_dir / step).mkdir(exist_ok=True)
        (run_dir / step / "manifest.json").write_text(json.dumps(manifest))
    previous = None
    for rung in RUNGS:
        if rung not in rungs:
            continue
        samples = {name: make_samples(name, size, rung) for name, size in BENCHMARKS.items()}
        previous = _write_rung(run_dir, rung, samples, previous)
        if rung != "base":
            write_stage(run_dir / rung, rung, num_steps)
    return run_dir


def _write_rung(run_dir: Path, rung: str, samples: dict, previous: dict | None) -> dict:
    sampling = {"temperature": 0.6, "top_p": 0.95, "max_tokens": 1024, "samples": 2}
    summary = summarize(samples, rung, f"{run_dir.name}/{rung}", previous, sampling)
    folder = run_dir / f"evaluate-{rung}"
    (folder / "samples").mkdir(parents=True, exist_ok=True)
    (folder / "summary.json").write_text(json.dumps(summary))
    for name, rows in samples.items():
        write_records(folder / "samples" / f"{name}.parquet", rows, EvalSample)
    return {"rung": rung, "samples": samples}


def make_samples(benchmark: str, num_questions: int, rung: str) -> list[EvalSample]:
    """Two samples a question; harder levels are solved less often, wrong ones run longer."""
    rng = np.random.default_rng(len(rung) * 1000 + num_questions)
    difficulty = np.random.default_rng(num_questions).normal(0, 1, num_questions)
    samples = []
    for q in range(num_questions):
        a, b, level = 17 + 3 * q, 5 + q, q % 5
        logit = 4 * SKILL[rung] - 1.4 - 0.6 * (level - 1) - difficulty[q]
        for k in range(2):
            is_right = rng.random() < 1 / (1 + math.exp(-1.6 * logit))
            tokens = int(rng.lognormal(5.0 + 0.5 * SKILL[rung] + (not is_right) * 0.5, 0.45))
            said = str(a * b if is_right else a * b + int(rng.integers(1, 9)))
            is_cut = tokens >= 640
            samples.append(
                EvalSample(
                    benchmark=benchmark,
                    question_id=f"{benchmark}-{q}",
                    index=k,
                    question=f"A hall has {a} rows with {b} seats each. How many seats is that?",
                    answer=str(a * b),
                    response=_working(a, b, said, is_cut),
                    verdict="unknown" if is_cut else ("correct" if is_right else "incorrect"),
                    extracted="" if is_cut else said,
                    method="exact",
                    finish_reason="length" if is_cut else "stop",
                    num_tokens=min(tokens, 640),
                    domain=DOMAINS[q % 4],
                    level=LEVELS[level],
                )
            )
    return samples


def _working(a: int, b: int, said: str, is_cut: bool) -> str:
    lines = [f"We need {a} × {b}.", f"{a} × {b // 10 * 10} = {a * (b // 10 * 10)}"]
    lines += [f"{a} × {b % 10} = {a * (b % 10)}", "Let me check this by adding it up again."]
    if is_cut:
        return "<think>\n" + "\n".join(lines * 20)
    return "<think>\n" + "\n".join(lines) + f"\n</think>\n\nThe answer is \\boxed{{{said}}}."


def write_stage(folder: Path, stage: str, num_steps: int = 300) -> None:
    """Noisy curves that fall or rise as such curves do."""
    rng = np.random.default_rng(len(stage))
    folder.mkdir(parents=True, exist_ok=True)
    metrics, timing = [], []
    for step in range(1, num_steps + 1):
        t = step / num_steps
        noise = rng.normal(0, 1, 8)
        row = {"step": step, "loss": 0.6 + 1.8 * math.exp(-5 * t) + 0.06 * noise[0]}
        row |= {"lr": 1e-5 * min(1, 10 * t), "grad_norm": 0.8 + 0.2 * abs(noise[1])}
        row |= {"num_tokens": 16000 + int(300 * noise[2])}
        if stage == "dpo":
            row |= {"accuracy": 0.5 + 0.3 * t + 0.04 * noise[3], "margin": t + 0.1 * noise[4]}
            row |= {"chosen_reward": 0.3 * t, "rejected_reward": -0.7 * t + 0.03 * noise[5]}
        if stage == "rlvr":
            row |= {"temperature": 1.0 - 0.8 * min(t, 0.5), "reward_mean": 0.5 * t + 0.1 * noise[3]}
            row |= {"pass_rate": 0.3 + 0.3 * t + 0.05 * noise[4], "entropy": 1.2 - 0.6 * t}
            row |= {"accept_rate": 0.7 - 0.2 * t, "mean_tokens": 300 + 80 * t + 9 * noise[6]}
            row |= {"truncation_rate": 0.04, "clip_fraction": abs(0.01 * noise[7])}
            row |= {"zero_signal_rate": 0.3 + 0.2 * t * t + 0.04 * noise[0]}
            row |= {"num_kept": 180 - int(40 * t + 8 * noise[1]), "p95_tokens": 620 + 90 * t}
            row |= {"correct_tokens": 260 + 90 * t + 9 * noise[2]}
            row |= {"incorrect_tokens": 410 + 40 * t + 20 * noise[3]}
            row |= {"ratio": 1 + 0.002 * noise[4], "ratio_min": 0.8 - 0.1 * abs(noise[5])}
            row |= {"ratio_max": 1.3 + 0.2 * abs(noise[6]), "staleness": step % 2}
            row |= {"clip_low_fraction": abs(0.004 * noise[7]), "kl": 0.02 * t}
            row |= {"clip_high_fraction": abs(0.006 * noise[7]), "generated_tokens": 80_000}
            row |= {"reward_correct": 2 * t - 1, "reward_format": 0.6 + 0.3 * t}
        metrics.append(json.dumps(row))
        speed = 14000 + 400 * noise[3]
        line = {"step": step, "elapsed_s": 1.2, "tokens_per_s": speed}
        if stage == "rlvr":
            line |= {"data_s": 0.8 + 0.05 * noise[4], "sample_tokens_per_s": 9000 + 500 * noise[5]}
            line |= {"forward_backward_s": 0.3, "optimizer_s": 0.03}
        timing.append(json.dumps(line))
    (folder / "metrics.jsonl").write_text("\n".join(metrics) + "\n")
    (folder / "timing.jsonl").write_text("\n".join(timing) + "\n")


def make_policy_samples(
    run_dir: Path, steps: range, questions_per_step: int = 32, group_size: int = 8
) -> None:
    """The responses of these steps: a policy that gets better, on questions that come back."""
    (run_dir / "rlvr" / "samples").mkdir(parents=True, exist_ok=True)
    for step in steps:
        rng = np.random.default_rng(step)
        drawn = sorted(rng.choice(3 * questions_per_step, questions_per_step, replace=False))
        samples = []
        for q in drawn:
            group = [_policy_sample(rng, step, int(q), k, steps[-1]) for k in range(group_size)]
            rewards = [sample.reward for sample in group if sample.reward is not None]
            spread = float(np.std(rewards)) if rewards else 0.0
            for sample in group:
                advantage = None
                if spread and sample.reward is not None:
                    advantage = (sample.reward - float(np.mean(rewards))) / spread
                samples.append(dataclasses.replace(sample, advantage=advantage))
        path = run_dir / "rlvr" / "samples" / f"step-{step:06d}.parquet"
        write_records(path, samples, PolicySample)


def _policy_sample(
    rng: np.random.Generator, step: int, q: int, index: int, last_step: int
) -> PolicySample:
    a, b, done = 17 + 3 * q, 5 + q, step / max(1, last_step)
    is_right = bool(rng.random() < 1 / (1 + math.exp(2 - 4 * done + 0.8 * (q % 5 - 2))))
    tokens = int(rng.lognormal(5.0 + 0.4 * done + (not is_right) * 0.6, 0.5))
    is_cut = tokens >= 900
    said = "" if is_cut else str(a * b if is_right else a * b + int(rng.integers(1, 9)))
    verdict = "unknown" if is_cut else ("correct" if is_right else "incorrect")
    is_formatted = bool(rng.random() < 0.6 + 0.4 * done)
    correct = {"correct": 1.0, "incorrect": -1.0}.get(verdict, 0.0)
    return PolicySample(
        step=step,
        question_id=f"seats-{q}",
        index=index,
        question=f"A hall has {a} rows with {b} seats each. How many seats is that?",
        answer=str(a * b),
        response=_working(a, b, said, is_cut),
        verdict=verdict,
        extracted=said,
        finish_reason="length" if is_cut else "stop",
        num_tokens=min(tokens, 900),
        temperature=1.0 - 0.8 * min(done, 0.5),
        mean_logprob=float(-abs(rng.normal(0.4 - 0.2 * done, 0.1))),
        reward_names=["correct", "format"],
        reward_parts=[correct, float(is_formatted)],
        reward=None if is_cut else correct + 0.1 * is_formatted,
        lag=int(rng.integers(0, 2)),
    )


@pytest.fixture
def new_run(tmp_path: Path) -> Callable[..., Path]:
    return lambda *args, **kwargs: make_run(tmp_path / "run", *args, **kwargs)


@pytest.fixture(scope="session")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("full") / "run")


@pytest.fixture(scope="session")
def policy_samples() -> Callable[..., None]:
    return make_policy_samples
