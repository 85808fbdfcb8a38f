"""Sending a checked folder to the Hugging Face hub; nothing else here touches the network."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from minireason.errors import PublishError


class Hub(Protocol):
    """What of `huggingface_hub.HfApi` is used."""

    def repo_info(self, repo_id: str) -> Any: ...
    def create_repo(self, repo_id: str, *, private: bool, exist_ok: bool) -> Any: ...
    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str) -> Any: ...


def check_repo(repo: str) -> None:
    """Raises PublishError for a name that the hub would not take."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        raise PublishError(f"--repo is {repo!r}; {' '.join(str(error).split())}") from error
    if repo.count("/") != 1:
        raise PublishError(f"--repo is {repo!r}; give owner/name")


def upload_command(folder: Path, repo: str, *, is_public: bool) -> str:
    """The line that uploads the folder without us."""
    visibility = "--no-private" if is_public else "--private"
    return shlex.join(["hf", "upload", repo or "OWNER/NAME", str(folder), ".", visibility])


def who_will_see(hub: Hub, repo: str, *, is_public: bool) -> str:
    """Whether the repository is new or there, and who can read it: that of one there stays."""
    from huggingface_hub.errors import RepositoryNotFoundError

    with _told():
        try:
            found = hub.repo_info(repo)
        except RepositoryNotFoundError:
            return "new, public" if is_public else "new, private"
    return "there already, private" if found.private else "there already, PUBLIC"


def upload(hub: Hub, folder: Path, repo: str, *, is_public: bool) -> str:
    """Make the repository if it is not there and put the folder's files in; its address."""
    with _told():
        url = hub.create_repo(repo, private=not is_public, exist_ok=True)
        message = f"Upload {folder.name} with minireason"
        hub.upload_folder(repo_id=repo, folder_path=folder, commit_message=message)
    return str(url)


@contextmanager
def _told() -> Iterator[None]:
    """What the hub or the network refuses, as one line."""
    import httpx
    from huggingface_hub.errors import HFValidationError

    try:
        yield
    except (OSError, httpx.HTTPError, HFValidationError) as error:  # HfHubHTTPError is an OSError
        text = " ".join(str(error).split())[:300]
        raise PublishError(
            f"the hub refused ({type(error).__name__}: {text}); log in with `hf auth login`, check "
            "the name, and run the same command again"
        ) from error
