"""Where a step's result comes from: the chain of manifests, each naming its inputs by identity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minireason.runfolder import MANIFEST, read_json


@dataclass(frozen=True, slots=True)
class Made:
    """A finished step: what its manifest says. `inputs` maps a role to an identity."""

    name: str
    identity: str
    inputs: dict[str, str]
    config: dict[str, Any]
    rows: dict[str, int | float]
    seed: int
    seconds: float
    versions: dict[str, str]
    finished: str


def finished_steps(run_dir: Path) -> dict[str, Made]:
    """The finished steps of a run folder by name."""
    paths = sorted(run_dir.glob(f"*/{MANIFEST}"))
    return {path.parent.name: _read(path) for path in paths}


def ancestry(steps: Mapping[str, Made], name: str) -> list[Made]:
    """A step and all that it was made from, directly or not, inputs before what is made of them.

    An input that was made anew since, or lies elsewhere, is known by its identity alone and is not
    among them.
    """
    by_identity = {made.identity: made for made in steps.values()}
    found: dict[str, Made] = {}

    def visit(made: Made) -> None:
        for identity in made.inputs.values():
            if identity in by_identity and by_identity[identity].name not in found:
                visit(by_identity[identity])
        found[made.name] = made

    visit(steps[name])
    return list(found.values())


def _read(path: Path) -> Made:
    content = read_json(path)
    return Made(
        name=path.parent.name,
        identity=content.get("identity", ""),
        inputs=content.get("inputs", {}),
        config=content.get("config", {}),
        rows=content.get("rows", {}),
        seed=content.get("seed", 0),
        seconds=content.get("seconds", 0.0),
        versions=content.get("versions", {}),
        finished=content.get("finished", ""),
    )
