"""What must not leave this machine: its paths, its user, keys; and code that a config brings."""

from __future__ import annotations

import getpass
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEXTS = (".json", ".jinja", ".md", ".txt", "")
# Their words come from whatever the tokenizer was trained on.
VOCABULARIES = ("tokenizer.json", "vocab.json", "merges.txt", "added_tokens.json")
_KEYS = re.compile(
    r"\b(hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16})\b"
)
_FOLDERS = "home|Users|root|tmp|var|mnt|media|opt|data|work|workspace|scratch|private|srv"
_PATH = re.compile(rf"(?<![\w.…/:~-])(?:/(?:{_FOLDERS})/|~/|[A-Za-z]:\\)[\w./\\-]+")
_WHOLE_PATH = re.compile(r"(?:file://|~?/|[A-Za-z]:\\)[^\s/\\]+[/\\].*")
_SHARED_USERS = {"root", "user", "admin", "ubuntu", "runner"}


def check_leaks(folder: Path) -> Iterator[str]:
    """Keys anywhere; paths of this machine outside of vocabularies; remote code in a config."""
    for path in sorted(folder.rglob("*")):
        if path.suffix not in TEXTS or not path.is_file():
            continue
        name = path.relative_to(folder)
        text = path.read_text(encoding="utf-8", errors="replace")
        for key in sorted(set(_KEYS.findall(text))):
            yield f"{name} holds what looks like a key ({key[:6]}...); take it out, and revoke it"
        if path.name in VOCABULARIES:
            continue
        for found in sorted({*_PATH.findall(text), *_user_marks(text), *_paths(path, text)}):
            yield f"{name} names a place of this machine: {found!r}; take it out"
        if path.suffix == ".json" and '"auto_map"' in text:
            yield f"{name} has auto_map: loading the model would run code; take it out"


def _user_marks(text: str) -> list[str]:
    """Where this machine's user is named, in a path or before an @."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a user without a name
        return []
    if user in _SHARED_USERS:
        return []
    return re.findall(rf"[/\\]{re.escape(user)}[/\\]|\b{re.escape(user)}@", text)


def _paths(path: Path, text: str) -> list[str]:
    """Strings of a JSON file that are absolute paths, wherever they lead."""
    if path.suffix != ".json":
        return []
    try:
        content = json.loads(text)
    except ValueError:  # what loads the file says so
        return []
    return [value for value in _strings(content) if _WHOLE_PATH.fullmatch(value)]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)
