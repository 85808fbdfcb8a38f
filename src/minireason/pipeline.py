"""The recipe as steps: what each reads and depends on, in the order they run.

    questions -> rollout -> verify -> curate -> midtrain -> sft -> pairs -> dpo -> prompts -> rlvr

with an evaluation of the base and of each trained model, and the report at the end. To add a step:
write its verb in `stages/` and its entry here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path

from minireason.errors import RecipeError
from minireason.evaluate.benchmarks import benchmark_label
from minireason.model.source import local_folder, rope_regime
from minireason.problems.sources import is_external
from minireason.recipe import Recipe, RolloutSettings, longest_context
from minireason.step import Counts, Step, StepContext

NUMBERS = ("run.seed", "run.threads", "run.device", "run.dtype")
SAMPLER = (
    "model.system_prompt",
    "model.max_length",
    "sampler.max_batch",
    "sampler.engine",
    "sampler.cache_gib",
    "rollout.shard_size",
)
# Where the server is and how it is asked change no sample: a run may go on in another way.
ASKING = {"base_url", "concurrency", "timeout_s", "prices"}
ROLLOUTS = tuple(f"rollout.{key}" for key in RolloutSettings.model_fields if key not in ASKING)
TRAINING = (*NUMBERS, "model.system_prompt", "optimizer")
EVALUATION = (*NUMBERS, *SAMPLER, "evaluate", "verify")
BENCHMARKS = ("evaluate.benchmarks", "evaluate.limit", "evaluate.seed")
PAIRS = (
    "dpo.rollouts_from",
    "dpo.pairs_per_question",
    "dpo.max_length_ratio",
    "dpo.rejects_truncated",
    "dpo.num_questions",
    "dpo.num_rollouts",
    "dpo.temperature",
)
PROMPTS = (
    "rlvr.prompt_optimization",
    "rlvr.max_length_spread",
    "rlvr.min_pass_rate",
    "rlvr.max_pass_rate",
    "rlvr.num_candidates",
    "rlvr.trial_rollouts",
    "rlvr.trial_rounds",
    "rlvr.temperature_start",
    "rlvr.top_p",
    "rlvr.max_tokens",
)
Sources = Callable[[Recipe], Mapping[str, Path | str]]
TEACHER = {"questions": "questions", "rollout": "rollout", "verify": "verify"}


def build_steps(recipe: Recipe) -> list[Step]:
    """The steps of a recipe, in the order they run."""
    _check_labels(recipe.evaluate.benchmarks)
    stages = list(recipe.run.stages)
    steps = [_questions()]
    if stages[:1] == ["pretrain"]:
        steps += [_training("pretrain", {"questions": "questions"}), _evaluation("pretrain", None)]
        stages = stages[1:]
        newest = "pretrain"
    else:
        steps += [_evaluation("base", None)]
        newest = "base"
    if stages:
        steps[1:1] = _teaching()
    for stage in stages:
        steps += _stage(stage, newest)
        newest = stage
    return [*steps, _report(steps)]


def groups(steps: list[Step]) -> dict[str, list[str]]:
    """What a command or `--only` may name: a step, or a group of steps that belong together."""
    names = [step.name for step in steps]
    together = {
        "rollout": ["questions", "rollout"],
        "dpo": ["pairs", "dpo"],
        "rlvr": ["prompts", "rlvr"],
        "evaluate": [name for name in names if name.startswith("evaluate-")],
    }
    present = {group: [n for n in members if n in names] for group, members in together.items()}
    return {n: [n] for n in names} | {group: m for group, m in present.items() if m}


def _check_labels(benchmarks: list[str]) -> None:
    """Two benchmarks of one label would lie in one file, the second one never asked."""
    named: dict[str, str] = {}
    for name in benchmarks:
        label = benchmark_label(name)
        if label in named:
            raise RecipeError(
                f"evaluate.benchmarks holds {named[label]!r} and {name!r}, both of which would be "
                f"called {label!r}; rename one of the files, or leave one out"
            )
        named[label] = name


def _questions() -> Step:
    return Step(
        "questions",
        _verb("questions"),
        {},
        ("run.seed", "questions", *BENCHMARKS),
        lambda recipe: _files(recipe.questions.sources) | _files(recipe.evaluate.benchmarks),
    )


def _teaching() -> list[Step]:
    return [
        Step(
            "rollout",
            _verb("rollout"),
            {"questions": "questions"},
            ("run.seed", "model.system_prompt", *ROLLOUTS),
            lambda recipe: _files(recipe.rollout.sources),
        ),
        Step(
            "verify",
            _verb("verify"),
            {"questions": "questions", "rollout": "rollout"},
            ("verify", "judge"),
        ),
        Step(
            "curate",
            _verb("curate"),
            TEACHER,
            ("run.seed", "model.system_prompt", "curate"),
            _base(TEACHER),
        ),
    ]


def _stage(stage: str, newest: str) -> list[Step]:
    """One training stage: what it prepares from the newest model, the training, the evaluation."""
    model = _model(newest)
    steps: list[Step] = []
    keys: tuple[str, ...]
    data = {"data": "curate"}
    if stage == "dpo":
        keys = (*NUMBERS, *SAMPLER, "evaluate.max_tokens", "verify", *PAIRS)
        reads = {**TEACHER, **model}
        work = _verb("dpo", "pairs")
        steps.append(Step("pairs", work, reads, keys, _base(model), shared=True))
        data = {"pairs": "pairs"}
    if stage == "rlvr":
        keys = (*NUMBERS, *SAMPLER, "evaluate.max_tokens", "verify", *PROMPTS)
        reads = {"questions": "questions", **model}
        work = _verb("rlvr", "prompts")
        steps.append(Step("prompts", work, reads, keys, _base(model), shared=True))
        data = {"prompts": "prompts"}
    training = _training(stage, {**data, **model})
    return [*steps, training, _evaluation(stage, newest)]


def _training(stage: str, reads: Mapping[str, str]) -> Step:
    sampling = (*SAMPLER, "verify") if stage == "rlvr" else ()
    sources = _no_files if stage == "pretrain" else _base(reads)
    if stage == "rlvr":
        sources = _with_rewards(sources)
    lora = () if stage == "pretrain" else ("lora",)
    keys = (*TRAINING, *lora, *sampling, stage)
    return Step(stage, _verb(stage), reads, keys, sources, shared=True)


def _evaluation(rung: str, previous: str | None) -> Step:
    reads = _model(rung) | ({"previous": f"evaluate-{previous}"} if previous else {})

    def files(recipe: Recipe) -> Mapping[str, Path | str]:
        return {**_base(reads)(recipe), **_files(recipe.evaluate.benchmarks)}

    return Step(f"evaluate-{rung}", _verb("evaluate"), reads, EVALUATION, files, shared=True)


def _report(steps: list[Step]) -> Step:
    reads = {step.name: step.name for step in steps}
    return Step("report", _verb("report"), reads, ("report",), always=True)


def _verb(stage: str, name: str = "") -> Callable[[StepContext], Counts]:
    """The function of a stage's module, imported when it runs: `--help` must not wait for torch."""

    def work(step: StepContext) -> Counts:
        module = importlib.import_module(f"minireason.stages.{stage}")
        counts: Counts = getattr(module, name or stage)(step)
        return counts

    return work


def _model(rung: str) -> dict[str, str]:
    return {} if rung == "base" else {"model": rung}


def _base(reads: Mapping[str, str]) -> Callable[[Recipe], Mapping[str, Path | str]]:
    """The base model's folder or hub id, and the LongRoPE factors it is used with, for a step that
    reads no earlier model (which is pinned to its own)."""

    def files(recipe: Recipe) -> Mapping[str, Path | str]:
        base = recipe.model.base
        if "model" in reads:
            return {}
        regime = rope_regime(base, recipe.model.rope, longest_context(recipe))
        found: dict[str, Path | str] = {"base model": local_folder(base) or base}
        return found | ({"rope": regime} if regime else {})

    return files


def _with_rewards(sources: Sources) -> Sources:
    """With the files of the user's own rewards."""

    def files(recipe: Recipe) -> Mapping[str, Path | str]:
        places = (name.rpartition(":")[0] for name in recipe.rlvr.rewards)
        own = {place: Path(place) for place in places if place.endswith(".py")}
        return {**sources(recipe), **own}

    return files


def _no_files(recipe: Recipe) -> Mapping[str, Path | str]:
    return {}


def _files(sources: list[str]) -> dict[str, Path]:
    """Local question sources: a change in them is a change of input."""
    local = [source for source in sources if is_external(source) and not source.startswith("hf:")]
    return {source: Path(source).expanduser() for source in local}
