"""Markdown from the templates that the package carries."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined


def markdown_environment(part: str) -> Environment:
    """The templates of one part of the package, as `report`; an unknown name in one is an error."""
    return Environment(
        loader=PackageLoader("minireason", part),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
