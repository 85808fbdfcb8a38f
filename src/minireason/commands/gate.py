"""The command `minireason gate`; its help waits for no imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minireason.options import Data, Device, Hub, Threads

FAILED = 1


def gate(
    export: Annotated[Path, typer.Argument(help="Folder that `minireason export` wrote.")],
    against: Annotated[
        str, typer.Option(help="The model it was made from: a folder, a run folder, or `tiny`.")
    ],
    benchmark: Annotated[
        list[str] | None,
        typer.Option(help="Embedded or published name, or a path; repeatable (the embedded ones)."),
    ] = None,
    questions: Annotated[int, typer.Option(min=0, help="Of each benchmark (0: all).")] = 100,
    samples: Annotated[
        int,
        typer.Option(min=0, help="Sample each question this often, to judge these (0: greedy)."),
    ] = 0,
    temperature: Annotated[float, typer.Option(help="Of --samples.")] = 0.6,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of a response.")] = 1024,
    most_loss: Annotated[float, typer.Option(help="Points of accuracy it may lose.")] = 2.0,
    most_loops: Annotated[
        float, typer.Option(help="Points that loops may become more frequent.")
    ] = 5.0,
    seed: Annotated[int, typer.Option(help="Of samples and of what --questions takes.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Responses at the same time.")] = 16,
    device: Device = "auto",
    threads: Threads = 0,
    data: Data = None,
    hub: Hub = False,
) -> None:
    """Measure an export beside its model; ends with 1 unless it passes."""
    from rich.console import Console

    from minireason.export.gate import gate_export
    from minireason.export.gate_settings import EMBEDDED, GateSettings
    from minireason.export.gate_table import show_gate
    from minireason.inference.resolve import model_folder
    from minireason.progress import Progress

    settings = GateSettings(
        benchmarks=tuple(benchmark or EMBEDDED),
        num_questions=questions,
        num_samples=samples,
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        most_loss=most_loss,
        most_loops=most_loops,
        max_batch=batch,
        threads=threads,
        device=device,
        data=data,
        allow_hub=hub,
    )
    found = gate_export(Path(model_folder(against)), export, settings, Progress())
    show_gate(found, Console())
    if not found.is_passed:
        raise typer.Exit(FAILED)
