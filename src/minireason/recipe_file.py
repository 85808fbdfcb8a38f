"""Reading a recipe file: TOML, overrides, errors that name the nearest key, and the reference page.

This module imports no torch.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from minireason.errors import MissingError, RecipeError
from minireason.recipe import Recipe, Section, Training


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file and apply `section.key=value` overrides (values are TOML)."""
    if not path.is_file():
        raise MissingError(f"recipe {path} does not exist; the shipped ones are in recipes/")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid TOML: {error}") from error
    for override in overrides:
        _apply(data, override)
    return parse_recipe(data, origin=str(path))


def parse_recipe(data: dict[str, Any], origin: str = "recipe") -> Recipe:
    """Validate a recipe given as nested dicts; an unknown key is an error naming the nearest."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise RecipeError(f"{origin}: {_explain(error)}") from None


def _apply(data: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    parts = key.strip().split(".")
    if not separator or len(parts) != 2:
        raise RecipeError(f"--set {override!r} is not of the form section.key=value")
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    section = data.setdefault(parts[0], {})
    if not isinstance(section, dict):
        raise RecipeError(f"--set {override!r}: {parts[0]} is not a section")
    section[parts[1]] = value


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        allowed = keys() if len(first["loc"]) > 1 else list(Recipe.model_fields)
        near = difflib.get_close_matches(where, allowed, n=1, cutoff=0.0)
        return f"unknown key {where!r}; the nearest is {near[0]!r}" if near else f"unknown {where}"
    if first["type"] == "value_error":
        return str(first["ctx"]["error"])
    return f"{where} is {first['input']!r}; {first['msg'][0].lower()}{first['msg'][1:]}"


def keys() -> list[str]:
    """Every key of a recipe as `section.key`."""
    return [
        f"{name}.{key}"
        for name, section in Recipe.model_fields.items()
        for key in _section(section.annotation).model_fields
    ]


def _section(annotation: Any) -> type[Section]:
    assert isinstance(annotation, type) and issubclass(annotation, Section)
    return annotation


def documented() -> list[str]:
    """The keys with a text of their own: what the training stages share counts once."""
    return [key for key in keys() if _owner(key) in (None, "pretrain")]


def _owner(key: str) -> str | None:
    """The section of a key that all training stages have; None for any other key."""
    section, _, name = key.partition(".")
    return section if section in _training_sections() and name in Training.model_fields else None


def _training_sections() -> dict[str, type[Section]]:
    sections = {n: _section(field.annotation) for n, field in Recipe.model_fields.items()}
    return {name: section for name, section in sections.items() if issubclass(section, Training)}


def reference() -> str:
    """The text of `docs/recipe.md`: every section and key with type, default and meaning."""
    shared = _training_sections()
    lines = [
        "# The recipe, key by key",
        "",
        "Generated from the schema by `python -m minireason.recipe_file`; do not edit.",
        f"A recipe is one TOML file; unknown keys are errors. {len(documented())} keys, of which "
        f"{len(Training.model_fields)} are set for each of {', '.join(shared)}.",
    ]
    for name, field in Recipe.model_fields.items():
        section = _section(field.annotation)
        if name == next(iter(shared)):
            lines += _shared_table(shared)
        own = {k: v for k, v in section.model_fields.items() if _owner(f"{name}.{k}") is None}
        if not own:
            continue
        lines += ["", f"## [{name}]", "", "| key | default | meaning |", "|---|---|---|"]
        lines += [f"| `{key}` | {_default(info)} | {_meaning(info)} |" for key, info in own.items()]
    return "\n".join(lines) + "\n"


def _shared_table(sections: dict[str, type[Section]]) -> list[str]:
    """What every training stage sets for itself, with the default of each."""
    lines = [
        *("", f"## {', '.join(f'[{name}]' for name in sections)}", ""),
        f"| key | {' | '.join(sections)} | meaning |",
        f"|---|{'---|' * len(sections)}---|",
    ]
    for key, info in Training.model_fields.items():
        defaults = [_default(section.model_fields[key]) for section in sections.values()]
        lines.append(f"| `{key}` | {' | '.join(defaults)} | {_meaning(info)} |")
    return lines


def _default(info: FieldInfo) -> str:
    return f"`{info.default!r}`".replace("|", "\\|")


def _meaning(info: FieldInfo) -> str:
    return " ".join((info.description or "").split())


if __name__ == "__main__":
    print(reference(), end="")
