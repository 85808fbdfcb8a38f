"""The command `minireason publish`; its help waits for no imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minireason.errors import PublishError


def publish(
    model: Annotated[
        str, typer.Argument(help="A run folder (its last rung), a rung's folder, or a model's.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder to write (publish/NAME).")
    ] = None,
    export: Annotated[
        list[Path] | None,
        typer.Option("--export", help="An exported folder to publish beside it; repeatable."),
    ] = None,
    license: Annotated[
        str, typer.Option("--license", help="Its id on the hub, as mit or apache-2.0.")
    ] = "",
    repo: Annotated[str, typer.Option("--repo", help="owner/name on the hub.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Assemble and check; upload nothing.")
    ] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Readable by everyone (a new one is private).")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Upload without asking.")] = False,
) -> None:
    """Check a model for the Hugging Face hub, and upload it."""
    from minireason.inference.resolve import model_folder
    from minireason.publish.run import Publishing, prepare, publication_name
    from minireason.publish.upload import check_repo, upload_command

    if repo:
        check_repo(repo)
    elif not dry_run:
        raise PublishError("give --repo owner/name to upload to, or --dry-run")
    folder = Path(model_folder(model))
    if not folder.is_dir():
        raise PublishError(f"{model} is on the hub already; give a folder")
    out = out or Path("publish") / publication_name(folder, repo)
    failures = prepare(Publishing(folder, out, tuple(export or ()), license, repo))
    for failure in failures:
        typer.echo(f"- {failure}", err=True)
    if failures:
        raise PublishError(f"{len(failures)} checks failed; nothing was written to {out}")
    size = _show(out)
    if dry_run:
        typer.echo(f"upload it with: {upload_command(out, repo, is_public=public)}")
        return
    _upload(out, repo, size, is_public=public, is_agreed=yes)


def _show(folder: Path) -> str:
    """Print every file with its size; how many there are and how large, in words."""
    from minireason.publish.files import all_files

    sizes = {file: (folder / file).stat().st_size for file in all_files(folder)}
    for file, size in sizes.items():
        typer.echo(f"{size / 1e3:>14,.1f} kB  {file}")
    total = f"{len(sizes)} files, {sum(sizes.values()) / 1e6:,.1f} MB"
    typer.echo(f"{folder}: {total}, all checks passed")
    return total


def _upload(folder: Path, repo: str, size: str, *, is_public: bool, is_agreed: bool) -> None:
    from huggingface_hub import HfApi

    from minireason.publish.upload import upload, who_will_see

    hub = HfApi()
    who = who_will_see(hub, repo, is_public=is_public)
    if not is_agreed and not typer.confirm(f"upload {size} to {repo} ({who})?"):
        typer.echo(f"nothing was uploaded; the folder is {folder}")
        return
    typer.echo(upload(hub, folder, repo, is_public=is_public))
