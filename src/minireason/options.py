"""What the commands share: options, and how a command ends that is asked to.

This module imports no torch.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, Literal

import typer

from minireason.errors import Preempted

RecipePath = Annotated[Path, typer.Argument(help="Recipe file (TOML), see docs/recipe.md.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one key; repeatable."),
]

Data = Annotated[
    Path | None, typer.Option(help="Folder of published benchmarks (MINIREASON_DATA).")
]
Hub = Annotated[bool, typer.Option("--hub", help="Allow downloading benchmarks.")]
Server = Annotated[str, typer.Option(help="Base URL, up to /v1, of an OpenAI-compatible server.")]
Dtype = Annotated[
    Literal["float32", "bfloat16"], typer.Option(help="Of the weights; bfloat16 on a GPU.")
]
Model = Annotated[
    str,
    typer.Argument(
        help="A model folder, an export, a run folder (its last rung), `tiny`, a hub id, or with "
        "--server a name there."
    ),
]
LocalModel = Annotated[
    str,
    typer.Argument(help="A model folder, an export, a run folder (its last rung), `tiny`, hub id."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, mps, cuda, or as cuda:1.")]
Retrieve = Annotated[
    Path | None,
    typer.Option(help="Folder of texts to quote and cite (.txt, .md, .jsonl)."),
]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads (0: torch's choice).")]


@contextlib.contextmanager
def resumable(*, is_said: bool = True) -> Iterator[None]:
    """After SIGTERM, say how to go on and end well."""
    try:
        yield
    except Preempted as error:
        if is_said:
            command = shlex.join(["minireason", *sys.argv[1:]])
            print(
                f"asked to end; what is done is kept, resume with: {command}",
                file=sys.stderr,
            )
        raise typer.Exit from error


def preempt(_signal: int, _frame: FrameType | None) -> None:
    """What SIGTERM does to a command that can go on later."""
    raise Preempted
