"""The command `minireason evaluate`: a recipe's rungs, or any model on any benchmark."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from minireason.commands.steps import Chosen, run_steps
from minireason.errors import RecipeError
from minireason.options import (
    Data,
    Device,
    Dtype,
    Hub,
    Overrides,
    Server,
    Threads,
    preempt,
    resumable,
)

if TYPE_CHECKING:
    from minireason.evaluate.results import Results
    from minireason.evaluate.sampling import Sampling
    from minireason.inference.backend import Backend
    from minireason.progress import Progress

FOR_RECIPES = frozenset({"target", "out", "overrides"})


Target = Annotated[
    str,
    typer.Argument(
        help="A recipe (.toml): all its rungs. Or a model: a folder, an export, a run folder, "
        "`tiny`, a hub id, or with --server a name there."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="Folder of the results (evaluations/NAME; of a recipe runs/NAME)."),
]
Benchmarks = Annotated[
    list[str] | None,
    typer.Option(
        help="Embedded or published name, or a path; repeatable (the embedded ones; those of the "
        "table with --paper)."
    ),
]

Prompt = Annotated[
    str, typer.Option(help="`published`; `question`: that alone; or a text with {question}.")
]
Score = Annotated[
    str, typer.Option(help="For the best of n, your own: module:function or FILE.py:function.")
]


def evaluate(
    context: typer.Context,
    target: Target,
    out: Out = None,
    benchmark: Benchmarks = None,
    samples: Annotated[int, typer.Option(min=1, help="Samples a question.")] = 1,
    temperature: Annotated[float, typer.Option(help="0 is greedy.")] = 0.6,
    top_p: Annotated[float, typer.Option("--top-p")] = 0.95,
    max_tokens: Annotated[int, typer.Option(min=1, help="Of a response.")] = 1024,
    limit: Annotated[int, typer.Option(min=0, help="Questions of a benchmark (0: all).")] = 0,
    seed: Annotated[int, typer.Option(help="Of samples and of what --limit takes.")] = 0,
    prompt: Prompt = "published",
    system: Annotated[str, typer.Option(help="System message.")] = "",
    server: Server = "",
    logprobs: Annotated[
        bool, typer.Option("--logprobs", help="Ask the server for them, for the best of n.")
    ] = False,
    score: Score = "",
    device: Device = "auto",
    dtype: Dtype = "float32",
    threads: Threads = 0,
    batch: Annotated[int, typer.Option(min=1, help="Samples at the same time.")] = 32,
    data: Data = None,
    hub: Hub = False,
    keep_withheld: Annotated[
        bool, typer.Option("--keep-withheld", help="Keep whole responses of GPQA, for yourself.")
    ] = False,
    paper: Annotated[bool, typer.Option("--paper", help="Show the published table too.")] = False,
    groups: Annotated[
        bool, typer.Option("--groups", help="Show pass@1 by subject and level too.")
    ] = False,
    overrides: Overrides = None,
) -> None:
    """Measure a recipe's rungs, or a model on benchmarks."""
    _check(target, _given(context))
    if target.endswith(".toml"):
        run_steps(Path(target), out, overrides, Chosen(only="evaluate"))
        return
    from minireason.evaluate.paper import BENCHMARKS as OF_THE_PAPER
    from minireason.evaluate.sampling import Sampling
    from minireason.evaluate.scorer import open_scorer
    from minireason.problems.benchmarks import BENCHMARKS
    from minireason.progress import Progress
    from minireason.rollout.sampling import SamplingParams

    params = SamplingParams(temperature=temperature, top_p=top_p, max_tokens=max_tokens, seed=seed)
    scorer = open_scorer(score) if score else None
    sampling = Sampling(samples, params, system, keep_withheld, scorer)
    names = benchmark or [*(OF_THE_PAPER if paper else BENCHMARKS)]
    questions = Questions(names, limit, data, hub, prompt)
    signal.signal(signal.SIGTERM, preempt)
    with resumable():
        opened = (
            open_server(target, server, batch, wants_logprobs=logprobs)
            if server
            else open_model(target, Engine(device, dtype, threads, batch))
        )
        folder = out or Path("evaluations") / opened.backend.name.replace("/", "-")
        results = measure(opened, questions, sampling, folder, Progress())
    show(results, folder, has_groups=groups, is_beside_paper=paper)


def _given(context: typer.Context) -> list[str]:
    """The names of the options that stand on the command line."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return [name for name, source in sources.items() if source and source.name == "COMMANDLINE"]


def _check(target: str, given: Sequence[str]) -> None:
    is_recipe = target.endswith(".toml")
    of_models = [name.replace("_", "-") for name in given if name not in FOR_RECIPES]
    if is_recipe and of_models:
        raise RecipeError(
            f"{target} is a recipe, which says itself what is asked; --{of_models[0]} is for "
            f"models. Use --set, for example evaluate.benchmarks=[...]"
        )
    if "overrides" in given and not is_recipe:
        raise RecipeError(f"--set overrides a recipe, and {target} is a model; leave it out")


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked and where it is read from."""

    names: list[str]
    limit: int
    data: Path | None
    allow_hub: bool
    prompt: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A model that answers, and what is written down of it."""

    backend: Backend
    model: dict[str, Any]
    engine: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Engine:
    """On what the embedded engine runs."""

    device: str
    dtype: str
    threads: int
    batch: int


def open_server(model: str, base_url: str, batch: int, *, wants_logprobs: bool) -> Opened:
    """The model of this name on a server."""
    from minireason.inference.resolve import open_backend

    backend = open_backend(
        model, base_url=base_url, concurrency=batch, wants_logprobs=wants_logprobs
    )
    return Opened(backend, {"kind": "server"}, {"batch": batch})


def open_model(target: str, engine: Engine) -> Opened:
    """The model in the embedded engine, or the runtime of its export."""
    from minireason.edge.manifest import read_manifest
    from minireason.evaluate.settings import weights_hash
    from minireason.inference.resolve import model_folder, open_local, runs_without_torch

    source = Path(model_folder(target))
    weights = weights_hash(source) if source.is_dir() else ""
    backend = open_local(
        target,
        device=engine.device,
        dtype=engine.dtype,
        threads=engine.threads,
        max_batch=engine.batch,
    )
    recorded = asdict(engine) | {"context": backend.max_length}
    if runs_without_torch(source):
        manifest = read_manifest(source)
        recorded |= {"device": manifest.target, "dtype": f"{manifest.bits} bits"}
        return Opened(backend, {"kind": manifest.format, "weights": weights}, recorded)
    from minireason.model.load import choose_device
    from minireason.rollout.engine import Engine as EmbeddedEngine

    assert isinstance(backend.engine, EmbeddedEngine)
    weights = weights or str(getattr(backend.engine.model.config, "_commit_hash", None) or "")
    recorded["device"] = choose_device(engine.device)
    return Opened(backend, {"kind": "embedded", "weights": weights}, recorded)


def measure(
    opened: Opened, questions: Questions, sampling: Sampling, folder: Path, progress: Progress
) -> Results:
    """Ask every benchmark and write the folder."""
    from minireason.evaluate.benchmarks import BARE, benchmark_folder, open_benchmark
    from minireason.evaluate.run import evaluate as run

    found = [
        open_benchmark(
            name,
            questions.limit,
            sampling.params.seed,
            folder=benchmark_folder(questions.data),
            allow_hub=questions.allow_hub,
        )
        for name in questions.names
    ]
    if questions.prompt != "published":
        prompt = BARE if questions.prompt == "question" else questions.prompt
        if BARE not in prompt:
            raise RecipeError(
                f"--prompt is {prompt!r:.60}; give `published`, `question`, or a text with {BARE}"
            )
        found = [replace(one, prompt=prompt) for one in found]
    about = {"model": opened.model, "engine": opened.engine}
    return run(opened.backend, found, sampling, folder, about, progress, prompt=questions.prompt)


def show(results: Results, folder: Path, *, has_groups: bool, is_beside_paper: bool) -> None:
    """Print the tables and where the results lie."""
    from rich.console import Console

    from minireason.evaluate.paper import comparability, paper_table
    from minireason.evaluate.settings import SETTINGS
    from minireason.evaluate.table import groups_table, results_table
    from minireason.runfolder import read_json

    console = Console()
    console.print(results_table(results))
    if has_groups and (by_group := groups_table(results)) is not None:
        console.print(by_group)
    if is_beside_paper:
        console.print(paper_table(results))
        for line in comparability(results, read_json(folder / SETTINGS)):
            console.print(line, soft_wrap=True, highlight=False)
    console.print(f"results: {folder}", soft_wrap=True, highlight=False)
