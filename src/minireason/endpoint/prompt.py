"""Prompts that the package carries, with texts of others quoted between marks they cannot forge."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from string import Template

from minireason.endpoint.session import Request

_MARK = re.compile(r"<(?=\s*/?\s*(?:question|reference|answer|response)\b)", re.IGNORECASE)


@cache
def load_prompt(package: str, name: str) -> Template:
    """The prompt in a text file of a package, with its places as `$name`."""
    return Template((files(package) / name).read_text(encoding="utf-8"))


def prompt_digest(prompt: Template) -> str:
    """What changes with the prompt's wording, for the settings that answers depend on."""
    return hashlib.sha256(prompt.template.encode()).hexdigest()[:16]


def quoted(text: str) -> str:
    """A text in which no mark of a prompt begins."""
    return _MARK.sub("[", text).strip()


def greedy_request(
    model: str, prompt: Template, places: Mapping[str, str], max_tokens: int
) -> Request:
    """The request body that asks for one answer to the prompt, at temperature 0."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": prompt.substitute(places)}],
        "temperature": 0.0,
        "max_tokens": max_tokens,
    }
