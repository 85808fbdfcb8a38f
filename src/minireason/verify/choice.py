"""Multiple choice: the letter an answer names, in its many spellings."""

from __future__ import annotations

import re

_CHOICE = re.compile(r"\(?([a-jA-J])\)?|\(([A-J])\).*|([A-J])[.):].*", re.DOTALL)
_REFERENCE_CHOICE = re.compile(r"[A-J]|\([A-J]\)")
_MARKUP = re.compile(r"\\(?:text\w*|mathrm|mathbf|mbox)\s*\{|[{}$*]|\\(?=[^a-zA-Z{}])")


def is_choice(reference: str, kind: str) -> bool:
    """Whether the reference is the letter of an option."""
    return kind == "choice" or (kind == "" and bool(_REFERENCE_CHOICE.fullmatch(reference.strip())))


def choice_letter(answer: str) -> str:
    """The option that an answer such as `(B)`, `B.`, `\\text{B}` or `B) 42` names, else empty."""
    match = _CHOICE.fullmatch(_MARKUP.sub("", answer).strip())
    return next((g for g in match.groups() if g), "").upper() if match else ""
