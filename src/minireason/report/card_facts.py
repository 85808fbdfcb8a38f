"""What a model card says: read from a run folder's manifests, or from a model folder alone."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard
from safetensors import SafetensorError, safe_open

from minireason.account import accounts
from minireason.errors import MissingError
from minireason.model.source import TINY_FOLDER, local_folder
from minireason.report.card_ladder import Ladder, ladder_of
from minireason.report.lineage import Made, ancestry
from minireason.report.run_data import DATA_STEPS, STAGES
from minireason.runfolder import read_json

CARD = "README.md"
# What tells one training from another at a glance; all of it is in the recipe below.
SHOWN = (
    *("learning_rate", "seq_length", "batch_size", "epochs", "max_steps", "num_steps", "packing"),
    *("beta", "nll_weight", "rollouts_from", "prompts_per_step", "group_size", "max_tokens"),
    *("temperature_start", "temperature_end", "prompt_optimization", "rebalance", "kl_weight"),
)
UNITS = {"pretrain": "texts", "dpo": "pairs", "rlvr": "prompts"}
_LOCAL_PATH = re.compile(r'"(?:/|~)[^"]*/([^"/]+)/?"')


@dataclass(frozen=True, slots=True)
class Base:
    """The model that training began with; a folder of this machine is named without its path."""

    name: str
    is_on_hub: bool
    identity: str
    license: str | None


@dataclass(frozen=True, slots=True)
class Contamination:
    """Training questions, those left out for repeating a benchmark's, and the share that told."""

    questions: int
    left_out: int
    overlap: float


@dataclass(frozen=True, slots=True)
class CardFacts:
    """Of a model outside of a run only the first five are known.

    `data` has a row for each set that a data step made: name, rows in, rows out, what was left out.
    """

    name: str
    stage: str
    shape: list[tuple[str, str]]
    sampling: Mapping[str, Any]
    license: str | None
    base: Base | None = None
    system_prompt: str = ""
    sources: list[str] = field(default_factory=list)
    teacher: str = ""
    data: list[tuple[str, str, str, str]] = field(default_factory=list)
    contamination: Contamination | None = None
    trainings: list[dict[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    made_from: list[tuple[str, str, str]] = field(default_factory=list)
    ladder: Ladder = field(default_factory=Ladder)
    recipe: str = ""


def facts_of_stage(run_dir: Path, steps: Mapping[str, Made], stage: str) -> CardFacts:
    """Of the model that a finished stage of a run made."""
    run = read_json(run_dir / "run.json")
    recipe = tomllib.loads(run["recipe"])
    made_from = ancestry(steps, stage)
    stages = [made for made in made_from if made.name in STAGES]
    base = _base(recipe["model"]["base"], made_from) if stages[0].name != "pretrain" else None
    return CardFacts(
        name=run["name"],
        stage=stage,
        shape=_shape(run_dir / stage),
        sampling=recipe["evaluate"],
        license=base.license if base else _own_license(),
        base=base,
        system_prompt=recipe["model"]["system_prompt"],
        sources=_config(made_from, "questions").get("sources", []),
        teacher=_teacher(_config(made_from, "rollout")),
        data=_data(made_from),
        contamination=_contamination(made_from),
        trainings=[_training(run_dir, made) for made in stages],
        seconds=sum(made.seconds for made in made_from),
        made_from=_chain(steps, made_from),
        ladder=ladder_of(run_dir, steps, ["base", *(made.name for made in stages)]),
        recipe=without_paths(run["recipe"].strip()),
    )


def facts_of_folder(folder: Path) -> CardFacts:
    """Of a model outside of a run, whose training is not known."""
    is_tiny = folder.resolve() == TINY_FOLDER.resolve()
    return CardFacts(
        name=folder.resolve().name,
        stage="",
        shape=_shape(folder),
        sampling={"temperature": 0.6, "top_p": 0.95, "max_tokens": 4096},
        license=_own_license() if is_tiny else card_license(folder),
    )


def without_paths(recipe: str) -> str:
    """A recipe's text with absolute paths cut down to their last part: cards are for others."""
    return _LOCAL_PATH.sub(r'"…/\1"', recipe)


def card_license(folder: Path) -> str | None:
    """The licence that a model folder's own card names."""
    path = folder / CARD
    try:
        return ModelCard.load(path).data.license if path.is_file() else None
    except (OSError, ValueError, yaml.YAMLError):  # a card that says nothing readable
        return None


def _own_license() -> str:
    return str(metadata("minireason")["License-Expression"]).lower()


def _base(base: str, made_from: Sequence[Made]) -> Base:
    found = (made.inputs.get("base model", "") for made in made_from)
    identity = next(filter(None, found), "")
    try:
        is_on_hub = local_folder(base) is None
    except MissingError:  # the folder was there when the run began
        is_on_hub = False
    folder = Path(base).expanduser()
    name = base if is_on_hub or base == "tiny" else f"…/{folder.name}"
    known = _own_license() if base == "tiny" else card_license(folder)
    return Base(name, is_on_hub, "" if identity == base else identity, known)


def _shape(folder: Path) -> list[tuple[str, str]]:
    """What the config and the weights' headers say of the model, as (name, value)."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # what loads the model says what is wrong
        return []
    parts = (
        ("num_hidden_layers", "layers"),
        ("hidden_size", "wide"),
        ("num_attention_heads", "heads"),
        ("num_key_value_heads", "of keys and values"),
        ("vocab_size", "tokens in the vocabulary"),
    )
    sizes = [f"{config[key]:,} {what}" for key, what in parts if isinstance(config.get(key), int)]
    context = config.get("max_position_embeddings")
    rows = [
        ("Architecture", ", ".join([*config.get("architectures", [])[:1], *sizes])),
        ("Parameters", _num_parameters(folder)),
        ("Context", f"{context:,} tokens" if context else ""),
        ("Weights", f"safetensors, {config.get('dtype') or config.get('torch_dtype') or '?'}"),
    ]
    return [(name, value) for name, value in rows if value]


def _num_parameters(folder: Path) -> str:
    total = 0
    try:
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, framework="numpy") as file:
                for name in file.keys():  # noqa: SIM118
                    size = 1
                    for length in file.get_slice(name).get_shape():
                        size *= length
                    total += size
    except (OSError, SafetensorError):
        return ""
    return f"{total:,}" if total else ""


def _config(made_from: Sequence[Made], step: str) -> dict[str, Any]:
    found = (made.config.get(step, {}) for made in made_from if made.name == step)
    return next(found, {})


def _teacher(rollout: Mapping[str, Any]) -> str:
    teacher = str(rollout.get("teacher", ""))
    return f"{teacher}, {rollout['model']}" if rollout.get("model") else teacher


def _data(made_from: Sequence[Made]) -> list[tuple[str, str, str, str]]:
    rows = []
    for made in (made for made in made_from if made.name in DATA_STEPS):
        for account in accounts(made.rows)[0]:
            if account.rows_in is not None or account.rows_out is not None:
                left_out = "; ".join(f"{reason} {n:,}" for reason, n, _ in account.reasons)
                name = f"{made.name} {account.name}".strip()
                counts = (_count(account.rows_in), _count(account.rows_out))
                rows.append((name, *counts, left_out or "nothing"))
    return rows


def _count(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _contamination(made_from: Sequence[Made]) -> Contamination | None:
    for made in made_from:
        if made.name == "questions":
            own = accounts(made.rows)[0][0]
            left_out = sum(n for why, n in own.dropped.items() if "evaluation question" in why)
            overlap = made.config.get("questions", {}).get("overlap", 0.0)
            return Contamination(own.rows_in or 0, left_out, overlap)
    return None


def _training(run_dir: Path, made: Made) -> dict[str, str]:
    """What the card says of one training: its data and size, its settings, its packages."""
    path = run_dir / made.name / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    tokens = sum(line.get("num_tokens", 0) for line in lines)
    rows, settings = made.rows, made.config.get(made.name, {})
    dropped = [f"{k} {n:,}" for k, n in rows.items() if k.startswith("dropped: ") and n]
    size = [
        f"{rows.get('out', 0):,} of {rows.get('in', 0):,} {UNITS.get(made.name, 'examples')}",
        *dropped,
        f"{len(lines):,} steps",
        f"{tokens:,.0f} tokens",
        f"seed {made.seed}",
        f"finished {made.finished}",
    ]
    shown = [f"`{key} = {json.dumps(settings[key])}`" for key in SHOWN if key in settings]
    return {
        "stage": made.name,
        "size": ", ".join(size),
        "settings": ", ".join(shown),
        "versions": ", ".join(f"{name} {version}" for name, version in made.versions.items()),
        "seconds": f"{made.seconds:,.0f}",
    }


def _chain(steps: Mapping[str, Made], made_from: Sequence[Made]) -> list[tuple[str, str, str]]:
    """Each step with its identity and what it read, in the order they were made."""
    names = {made.identity: made.name for made in steps.values()}
    return [
        (
            made.name,
            made.identity,
            ", ".join(names.get(i, f"{role} {i[:12]}") for role, i in made.inputs.items()),
        )
        for made in made_from
    ]
