"""Whether a folder's card is one the hub can read and a reader can use."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import ModelCard

from minireason.publish.files import exports_in
from minireason.report.card_facts import CARD
from minireason.report.model_card import EXPORTS, SECTIONS

LICENSES_PAGE = "https://huggingface.co/docs/hub/repositories-licenses"
# Those in use for models; the hub's page has more, and an id like none of these is let through.
LICENSES = (
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "mpl-2.0", "unlicense"),
    *("gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "eupl-1.1"),
    *("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
    *("cc-by-nd-4.0", "cc-by-nc-nd-4.0", "openrail", "openrail++", "bigscience-openrail-m"),
    *("gemma", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "openmdw-1.0"),
    *("openmdw-1.1", "other"),
)


def check_card(folder: Path, license: str) -> Iterator[str]:
    """Front matter, a licence (`license`, where one was asked for), and every section."""
    path = folder / CARD
    if not path.is_file():
        yield f"there is no {CARD}"
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        data: Any = ModelCard(text).data
    except (ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        yield f"the front matter of {CARD} cannot be read: {' '.join(str(error).split())[:200]}"
    else:
        yield from _check_license(data.license, data.license_name, license)
    needed = [*SECTIONS, *([EXPORTS] if exports_in(folder) else [])]
    headings = re.findall(r"^#{1,3}\s+(.*?)\s*#*$", text, flags=re.MULTILINE)
    found = {heading.lower() for heading in headings}
    for section in needed:
        if section.lower() not in found:
            yield f"{CARD} has no section {section!r}; add it, or delete the card"


def _check_license(found: object, name: object, wanted: str) -> Iterator[str]:
    if not found:
        yield f"no licence is given: --license ID, as mit or apache-2.0 ({LICENSES_PAGE})"
    elif not isinstance(found, str):
        yield f"the licence of {CARD} is {found!r}; the hub takes one id ({LICENSES_PAGE})"
    elif wanted and found != wanted:
        yield f"{CARD} says license: {found} and --license {wanted}; which? edit {CARD}"
    elif found == "other" and not name:
        yield f"license: other needs license_name and license_link in {CARD}"
    elif found not in LICENSES:
        near = get_close_matches(found.lower().replace(" ", "-"), LICENSES, n=1, cutoff=0.7)
        if near or found == "unknown" or not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", found):
            meant = f"; is {near[0]} meant?" if near else ""
            yield f"the licence {found!r} is no id of the hub{meant} ({LICENSES_PAGE}, or other)"
