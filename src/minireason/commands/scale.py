"""The command `minireason scale`; its help waits for no imports."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from minireason.errors import SamplingError
from minireason.options import (
    Data,
    Device,
    Dtype,
    Hub,
    Model,
    Server,
    Threads,
    preempt,
    resumable,
)

if TYPE_CHECKING:
    from minireason.evaluate.benchmarks import Asked
    from minireason.scaling.plan import Plan

Methods = Annotated[
    str,
    typer.Option(
        help="With commas: majority, best_of_n, beam, budget, refine, refine_majority (all but "
        "the last; beam where the embedded engine runs)."
    ),
]


def scale(
    model: Model,
    benchmark: Annotated[
        str, typer.Option(help="An embedded or published one, a file, or hf:owner/name.")
    ] = "embedded-math",
    data: Data = None,
    hub: Hub = False,
    limit: Annotated[int, typer.Option(min=0, help="Questions (0: all).")] = 100,
    methods: Methods = "",
    sizes: Annotated[
        str, typer.Option(help="Samples, beams, rounds, or multiples of --unit.")
    ] = "1,2,4,8",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder of the measurement (runs/NAME-scale).")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same result.")] = 0,
    temperature: Annotated[float, typer.Option(help="Of all that is sampled.")] = 0.6,
    top_p: Annotated[float, typer.Option(help="Of all that is sampled.")] = 0.95,
    max_tokens: Annotated[int, typer.Option(min=1, help="Longest response.")] = 1024,
    score: Annotated[
        str, typer.Option(help="Of best_of_n: mean or sum, module:function or FILE.py:function.")
    ] = "mean",
    unit: Annotated[
        int,
        typer.Option(min=0, help="Thinking tokens of a size of budget (0: a plain response)."),
    ] = 0,
    wait: Annotated[str, typer.Option(help="What thinking goes on with.")] = "Wait",
    final: Annotated[
        str, typer.Option(help="What the answer begins with where thinking was cut off.")
    ] = "Final answer: \\boxed{",
    server: Server = "",
    device: Device = "auto",
    dtype: Dtype = "float32",
    threads: Threads = 0,
    batch: Annotated[int, typer.Option(min=1, help="Sequences or requests at a time.")] = 32,
) -> None:
    """Measure what thinking longer buys, by several methods."""
    from minireason.scaling.plan import Plan

    plan = Plan(
        benchmark=benchmark,
        limit=limit,
        methods=_methods(methods, model, server),
        sizes=_numbers(sizes),
        seed=seed,
        temperature=temperature,
        top_p=top_p,
        max_tokens=max_tokens,
        score=score,
        unit=unit,
        wait=wait,
        final=final,
    )
    asked = _asked(plan, data, allow_hub=hub)
    _measure(plan, asked, out, _Model(model, server, device, dtype, threads, batch))


def _methods(named: str, model: str, server: str) -> tuple[str, ...]:
    """Those named; without a name all that search no beams where the embedded engine is not."""
    from minireason.inference.resolve import model_folder, runs_without_torch
    from minireason.scaling.plan import BY_DEFAULT

    if names := tuple(name.strip() for name in named.split(",") if name.strip()):
        return names
    if server or runs_without_torch(Path(model_folder(model))):
        return tuple(name for name in BY_DEFAULT if name != "beam")
    return BY_DEFAULT


class _Model(NamedTuple):
    """Which model, and where it runs."""

    name: str
    server: str
    device: str
    dtype: str
    threads: int
    batch: int


def _asked(plan: Plan, data: Path | None, *, allow_hub: bool) -> Asked:
    from minireason.evaluate.benchmarks import benchmark_folder, open_benchmark

    folder = benchmark_folder(data)
    asked = open_benchmark(
        plan.benchmark, plan.limit, plan.seed, folder=folder, allow_hub=allow_hub
    )
    if asked.is_withheld:
        raise SamplingError(
            f"{asked.label} is never written down, and the journal holds responses; measure it "
            "with `minireason evaluate`, or scale on another benchmark"
        )
    return asked


def _measure(plan: Plan, asked: Asked, out: Path | None, model: _Model) -> None:
    from minireason.evaluate.settings import weights_hash
    from minireason.inference.resolve import model_folder, open_backend
    from minireason.progress import Progress
    from minireason.scaling.run import Scaling

    signal.signal(signal.SIGTERM, preempt)
    is_searching = "beam" in plan.methods and not model.server
    with resumable():
        backend = open_backend(
            model.name,
            base_url=model.server,
            # a beam search needs room for all its beams
            concurrency=max(model.batch, *plan.sizes) if is_searching else model.batch,
            device=model.device,
            dtype=model.dtype,
            threads=model.threads,
            wants_logprobs="best_of_n" in plan.methods and ":" not in plan.score,
        )
        source = "" if model.server else model_folder(model.name)
        weights = weights_hash(Path(source)) if source and Path(source).is_dir() else ""
        about = {"model": backend.name, "weights": weights}
        about |= {"server": model.server, "dtype": model.dtype}
        folder = out or Path("runs") / f"{backend.name.replace('/', '-')}-scale"
        content = Scaling(backend, asked, plan, folder, about, Progress()).run()
    _show(content, folder)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(sorted({int(part) for part in text.split(",") if part.strip()}))
    except ValueError as error:
        raise SamplingError(
            f"--sizes is {text!r}; give whole numbers from 1, as 1,2,4,8"
        ) from error


def _show(content: dict[str, Any], folder: Path) -> None:
    from rich.console import Console

    from minireason.report.scale_page import points_table, write_scale_page

    page = write_scale_page(content, folder / "scale.html")
    console = Console()
    console.print(points_table(content))
    console.print(f"report: {page}", soft_wrap=True, highlight=False)
