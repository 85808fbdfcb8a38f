"""Model cards: a README.md in each trained model's folder, in the form the Hugging Face hub reads.

The sections are those of the hub's own template (https://huggingface.co/docs/hub/model-cards),
which follows Mitchell et al. 2019 (arXiv 1810.03993), and three of ours: safety, exports, licence.
A card ends with a hash of its own text: one that somebody has edited, or that is not ours at all,
is left alone.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import ModelCardData

from minireason.markdown import markdown_environment
from minireason.report.card_facts import CARD, CardFacts, facts_of_folder, facts_of_stage
from minireason.report.lineage import finished_steps
from minireason.report.overview import rung_label
from minireason.report.run_data import STAGES
from minireason.runfolder import write_text

SECTIONS = (
    "Model Details",
    "Uses",
    "How to Get Started with the Model",
    "Training Details",
    "Evaluation",
    "Safety",
    "Bias, Risks, and Limitations",
    "Environmental Impact",
    "License",
    "Citation",
)
EXPORTS = "Exports"
_SEAL = "<!-- Written by minireason from the run's manifests; once edited it stays as it is. {} -->"
_SEALED = re.compile(re.escape(_SEAL).replace(r"\{\}", "([0-9a-f]{64})") + r"\n\Z")


@dataclass(frozen=True, slots=True)
class Exported:
    """An export that is published beside the model; `gate` is Markdown, empty if unmeasured."""

    path: str
    summary: str
    gate: str


@dataclass(frozen=True, slots=True)
class Publication:
    """What a card says once the model is published: under which name and licence, with what."""

    repo: str = ""
    license: str = ""
    exports: Sequence[Exported] = ()


def write_model_cards(run_dir: Path) -> int:
    """Write the card of every finished training stage of a run; how many models have ours.

    A card that would not change is not touched.
    """
    steps = finished_steps(run_dir)
    num_ours = 0
    for stage in (name for name in STAGES if name in steps):
        path = run_dir / stage / CARD
        old = read_card(path)
        if old != "" and not is_ours(old):
            continue
        num_ours += 1
        new = sealed(render(facts_of_stage(run_dir, steps, stage)))
        if new != old:
            write_text(path, new)
    return num_ours


def model_card(folder: Path, publication: Publication) -> str:
    """The card of a model folder, sealed: a stage of a run, or any other."""
    steps = finished_steps(folder.parent) if is_stage(folder) else {}
    if folder.name in steps:
        facts = facts_of_stage(folder.parent, steps, folder.name)
    else:
        facts = facts_of_folder(folder)
    return sealed(render(facts, publication))


def is_stage(folder: Path) -> bool:
    """Whether a model folder is a training stage of a run folder."""
    return folder.name in STAGES and (folder.parent / "run.json").is_file()


def read_card(path: Path) -> str:
    """A card's text; empty where there is none, and what is not text is none of ours."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def render(facts: CardFacts, publication: Publication | None = None) -> str:
    """The card without its seal."""
    publication = publication or Publication()
    license = publication.license or facts.license
    environment = markdown_environment("report")
    environment.filters |= {"quoted": json.dumps, "rung": rung_label}
    return environment.get_template("model_card.md").render(
        front_matter=_front_matter(facts, publication, license).to_yaml(),
        title=_title(facts, publication.repo),
        facts=facts,
        repo=publication.repo,
        license=license,
        exports=publication.exports,
        stages=[training["stage"] for training in facts.trainings],
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


def _title(facts: CardFacts, repo: str) -> str:
    if repo:
        return repo.rpartition("/")[2]
    return f"{facts.name}: {rung_label(facts.stage)}" if facts.stage else facts.name


def _front_matter(facts: CardFacts, publication: Publication, license: str | None) -> ModelCardData:
    datasets = [s.removeprefix("hf:").partition(":")[0] for s in facts.sources if s[:3] == "hf:"]
    return ModelCardData(
        base_model=facts.base.name if facts.base and facts.base.is_on_hub else None,
        license=license,
        library_name="transformers",
        pipeline_tag="text-generation",
        datasets=datasets or None,
        tags=["minireason", "math", "reasoning", *filter(None, [facts.stage])],
        model_name=_title(facts, publication.repo) if facts.ladder.results else None,
        eval_results=facts.ladder.results or None,
    )
