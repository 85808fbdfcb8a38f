"""The commands, and nothing else. What they do is in `pipeline` and `runner`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from minireason.ablation.command import ablate
from minireason.commands.chat import chat
from minireason.commands.compare import compare
from minireason.commands.evaluate import evaluate
from minireason.commands.export import export
from minireason.commands.gate import gate
from minireason.commands.publish import publish
from minireason.commands.scale import scale
from minireason.commands.serve import serve
from minireason.commands.steps import Chosen, run_steps
from minireason.errors import MinireasonError
from minireason.options import Overrides, RecipePath

# Before anything imports torch: waiting threads spin briefly, then sleep (see model/threads.py).
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "5000")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

INTERRUPTED = 130

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    help="Turn a small language model into a math reasoner, rung by rung, and measure each rung.",
)
train_app = typer.Typer(no_args_is_help=True, help="Train one stage of a recipe.")
app.add_typer(train_app, name="train")

Out = Annotated[
    Path | None, typer.Option("--out", help="Run folder (default: runs/ and the recipe's name).")
]
Processes = Annotated[
    int, typer.Option("--processes", min=1, help="Processes of this machine, one for each GPU.")
]


@app.command()
def run(
    recipe: RecipePath,
    out: Out = None,
    first: Annotated[str | None, typer.Option("--from", help="First step to run.")] = None,
    last: Annotated[str | None, typer.Option("--until", help="Last step to run.")] = None,
    only: Annotated[str | None, typer.Option("--only", help="Run this step alone.")] = None,
    overrides: Overrides = None,
    processes: Processes = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the resolved recipe and the steps' state.")
    ] = False,
) -> None:
    """Run a recipe, or go on with one that was interrupted."""
    chosen = Chosen(first, last, only)
    run_steps(recipe, out, overrides, chosen, processes=processes, is_dry=dry_run)


@app.command()
def rollout(recipe: RecipePath, out: Out = None, overrides: Overrides = None) -> None:
    """Collect the questions and sample the teacher's rollouts."""
    run_steps(recipe, out, overrides, Chosen(only="rollout"))


@app.command()
def verify(
    target: Annotated[
        Path, typer.Argument(help="A recipe (.toml), or responses: JSON, JSON Lines or Parquet.")
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Run folder, or the file to write (NAME.verified.jsonl)."),
    ] = None,
    overrides: Overrides = None,
    response: Annotated[str, typer.Option("--response-column")] = "response",
    answer: Annotated[str, typer.Option("--answer-column")] = "answer",
    kind: Annotated[
        str, typer.Option("--kind-column", help="Answer kind, as `choice`; may be absent.")
    ] = "answer_kind",
    prefix: Annotated[str, typer.Option(help="Put before the names of the added columns.")] = "",
    unmarked: Annotated[
        bool, typer.Option("--unmarked", help="Take the last number where no answer is marked.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Symbolic worker processes.")] = 1,
    timeout: Annotated[float, typer.Option(help="Seconds a symbolic comparison may take.")] = 3.0,
    judge_url: Annotated[
        str, typer.Option(help="Server of a model that judges what the rules reject.")
    ] = "",
    judge_model: Annotated[str, typer.Option(help="The model that judges.")] = "",
    question: Annotated[
        str, typer.Option("--question-column", help="For the judge; may be absent.")
    ] = "question",
) -> None:
    """Give a recipe's rollouts, or any file of responses, verdicts."""
    if target.suffix == ".toml":
        run_steps(target, out, overrides, Chosen(only="verify"))
        return
    from minireason.progress import Progress
    from minireason.verify import Conventions, Verifier
    from minireason.verify.files import VerifyColumns, default_out, verify_file
    from minireason.verify.judge import open_judge

    written = out or default_out(target)
    judge = open_judge(judge_url, judge_model)
    columns = VerifyColumns(response, answer, kind, prefix, question)
    progress = Progress()
    conventions = Conventions(unmarked_answers=unmarked)
    opened = Verifier(timeout, num_workers=workers, conventions=conventions)
    with opened as verifier, progress.track("verify") as advance:
        counts = verify_file(target, written, verifier, columns, advance, judge)
    total = sum(counts.values())
    for verdict, count in counts.most_common():
        progress.say(f"{verdict:<10} {count:>10,}  {100 * count / total:5.1f} %")
    typer.echo(written)


@app.command()
def curate(recipe: RecipePath, out: Out = None, overrides: Overrides = None) -> None:
    """Select the mid-training and SFT sets."""
    run_steps(recipe, out, overrides, Chosen(only="curate"))


app.command()(evaluate)
app.command()(compare)


@app.command()
def report(recipe: RecipePath, out: Out = None, overrides: Overrides = None) -> None:
    """Write the HTML report of what there is."""
    run_steps(recipe, out, overrides, Chosen(only="report"))


app.command()(ablate)
app.command()(chat)
app.command()(export)
app.command()(gate)
app.command()(scale)
app.command()(serve)
app.command()(publish)


@train_app.command()
def pretrain(
    recipe: RecipePath,
    out: Out = None,
    overrides: Overrides = None,
    processes: Processes = 1,
) -> None:
    """Build a tiny base model from nothing (recipes/tiny-base.toml)."""
    run_steps(recipe, out, overrides, Chosen(only="pretrain"), processes=processes)


@train_app.command()
def midtrain(
    recipe: RecipePath,
    out: Out = None,
    overrides: Overrides = None,
    processes: Processes = 1,
) -> None:
    """Stage 1: next-token training on all correct rollouts."""
    run_steps(recipe, out, overrides, Chosen(only="midtrain"), processes=processes)


@train_app.command()
def sft(
    recipe: RecipePath,
    out: Out = None,
    overrides: Overrides = None,
    processes: Processes = 1,
) -> None:
    """Stage 2: supervised fine-tuning on the compact set."""
    run_steps(recipe, out, overrides, Chosen(only="sft"), processes=processes)


@train_app.command()
def dpo(
    recipe: RecipePath,
    out: Out = None,
    overrides: Overrides = None,
    processes: Processes = 1,
) -> None:
    """Stage 3: make the preference pairs and train on them."""
    run_steps(recipe, out, overrides, Chosen(only="dpo"), processes=processes)


@train_app.command()
def rlvr(
    recipe: RecipePath,
    out: Out = None,
    overrides: Overrides = None,
    processes: Processes = 1,
) -> None:
    """Stage 4: select the prompts and learn from verifiable reward."""
    run_steps(recipe, out, overrides, Chosen(only="rlvr"), processes=processes)


def main() -> None:
    """Run the command line: what the user can put right ends with one line and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except typer.Exit as stop:
        code = stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except MinireasonError as error:
        _fail(2 if _is_said(error) else _complain(f"error: {error}", 2))
    except Exception as error:
        if os.environ.get("MINIREASON_TRACEBACK"):
            raise
        if hasattr(error, "show"):  # a usage error of the command line itself
            error.show()
            sys.exit(2)
        where = "(MINIREASON_TRACEBACK=1 shows where)"
        _fail(_complain(f"error: {type(error).__name__}: {error} {where}", 1))
    if code == INTERRUPTED and os.environ.get("RANK", "0") == "0":  # typer made it of Ctrl-C
        _complain("interrupted; run the same command again to go on", code)
    sys.exit(code or 0)


def _complain(text: str, code: int) -> int:
    # A server's words are in some errors: they may not command the terminal.
    safe = "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)
    print(safe, file=sys.stderr)
    return code


def _fail(code: int) -> NoReturn:
    """End with the code: at once where others wait for this process, who then learn of it."""
    if "WORLD_SIZE" in os.environ and code not in (0, INTERRUPTED):
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _is_said(error: BaseException) -> bool:
    """Whether the main process has said it already."""
    return bool(getattr(error, "is_of_main", False))
