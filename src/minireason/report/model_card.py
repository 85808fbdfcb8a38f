"""Model cards: a README.md in each trained model's folder, in the form the Hugging Face hub reads.

https://huggingface.co/docs/hub/model-cards. A card ends with a hash of its own text: one that
somebody has edited, or that is not ours at all, is left alone.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard, ModelCardData
from jinja2 import Environment, PackageLoader, StrictUndefined

from minireason.errors import MissingError
from minireason.evaluate.ladder import interval_text, ladder_rows, percent, read_summaries
from minireason.evaluate.schema import BenchmarkSummary, Summary
from minireason.model.source import local_folder
from minireason.report.lineage import Made, ancestry, finished_steps
from minireason.report.overview import rung_label
from minireason.report.run_data import STAGES
from minireason.runfolder import read_json, write_text

CARD = "README.md"
# What tells one training from another at a glance; all of it is in the recipe below.
SHOWN = (
    *("learning_rate", "seq_length", "batch_size", "epochs", "max_steps", "num_steps", "packing"),
    *("beta", "nll_weight", "rollouts_from", "prompts_per_step", "group_size", "max_tokens"),
    *("temperature_start", "temperature_end", "prompt_optimization", "rebalance", "kl_weight"),
)
SAMPLING = ("temperature", "top_p", "max_tokens", "seed")
UNITS = {"pretrain": "texts", "dpo": "pairs", "rlvr": "prompts"}
_SEAL = "<!-- Written by minireason from the run's manifests; once edited it stays as it is. {} -->"
_SEALED = re.compile(re.escape(_SEAL).replace(r"\{\}", "([0-9a-f]{64})") + r"\n\Z")


def write_model_cards(run_dir: Path) -> int:
    """Write the card of every finished training stage of a run; how many models have ours.

    A card that would not change is not touched.
    """
    steps = finished_steps(run_dir)
    num_ours = 0
    for stage in (name for name in STAGES if name in steps):
        path = run_dir / stage / CARD
        try:
            old = path.read_text(encoding="utf-8") if path.is_file() else ""
        except UnicodeDecodeError:  # not as we wrote it
            continue
        if old and not is_ours(old):
            continue
        num_ours += 1
        new = sealed(model_card(run_dir, steps, stage))
        if new != old:
            write_text(path, new)
    return num_ours


def model_card(run_dir: Path, steps: Mapping[str, Made], stage: str) -> str:
    """The card of a stage's model, without its seal."""
    run = read_json(run_dir / "run.json")
    recipe = tomllib.loads(run["recipe"])
    made_from = ancestry(steps, stage)
    stages = [made for made in made_from if made.name in STAGES]
    base = "" if "pretrain" in [made.name for made in stages] else recipe["model"]["base"]
    environment = Environment(
        loader=PackageLoader("minireason", "report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"quoted": json.dumps, "rung": rung_label}
    return environment.get_template("model_card.md").render(
        front_matter=_front_matter(base, stage).to_yaml(),
        name=run["name"],
        stage=stage,
        base=base,
        base_identity=_base_identity(made_from),
        system_prompt=recipe["model"]["system_prompt"],
        sampling=recipe["evaluate"],
        trainings=[_training(run_dir, made) for made in stages],
        made_from=_chain(steps, made_from),
        ladder=_ladder(run_dir, steps, ["base", *(made.name for made in stages)]),
        recipe=run["recipe"].strip(),
    )


def sealed(text: str) -> str:
    """The text with a last line that says whose it is."""
    return text + _SEAL.format(_hash(text)) + "\n"


def is_ours(text: str) -> bool:
    """Whether a card is as we wrote it."""
    found = _SEALED.search(text)
    return found is not None and found[1] == _hash(text[: found.start()])


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _front_matter(base: str, stage: str) -> ModelCardData:
    return ModelCardData(
        base_model=base if _is_hub_id(base) else None,
        license=_license(base),
        library_name="transformers",
        pipeline_tag="text-generation",
        tags=["minireason", "math", "reasoning", stage],
    )


def _is_hub_id(base: str) -> bool:
    try:
        return bool(base) and local_folder(base) is None
    except MissingError:  # the folder was there when the run began
        return False


def _license(base: str) -> str | None:
    """The base's licence where its own card says it; what we made ourselves is under ours."""
    if base in ("", "tiny"):
        return str(metadata("minireason")["License-Expression"]).lower()
    card = Path(base).expanduser() / CARD
    try:
        return ModelCard.load(card).data.license if card.is_file() else None
    except (OSError, ValueError, yaml.YAMLError):  # a card that says nothing readable
        return None


def _base_identity(made_from: Sequence[Made]) -> str:
    found = (made.inputs.get("base model", "") for made in made_from)
    return next(filter(None, found), "")


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


def _ladder(run_dir: Path, steps: Mapping[str, Made], rungs: Sequence[str]) -> dict[str, Any]:
    """The measured rungs up to this model; one measured on a model since made anew is not one."""
    summaries = [
        summary
        for summary in read_summaries(run_dir)
        if summary.rung in rungs and _is_current(steps, summary)
    ]
    rows = ladder_rows(summaries)
    names = list(rows[0].cells) if rows else []
    counts = {
        name: f"{cell.num_questions:,} questions, {cell.num_samples:,} samples"
        for name in names
        for row in rows
        if (cell := row.cells[name])
    }
    return {
        "rows": {row.rung: [_cell(cell) for cell in row.cells.values()] for row in rows},
        "counts": counts,
        "sampling": [
            f"{key} {value}"
            for s in summaries[-1:]
            for key, value in s.sampling.items()
            if key in SAMPLING
        ],
    }


def _cell(cell: BenchmarkSummary | None) -> str:
    if cell is None:
        return "not run"
    return f"{percent(cell.pass_at_1)} {interval_text(cell.ci_low, cell.ci_high)}"


def _is_current(steps: Mapping[str, Made], summary: Summary) -> bool:
    measured = steps.get(f"evaluate-{summary.rung}")
    if measured is None:
        return False
    return summary.rung == "base" or (
        summary.rung in steps and measured.inputs.get("model") == steps[summary.rung].identity
    )
