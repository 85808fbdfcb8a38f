"""Multiple choice: the letter an answer names, in its many spellings, or the option it repeats.

A reference is a letter, `B` or `(B)`, or a letter with its option, `(B) 4^x`; `with_option` adds
the option from the question, so that an answer may give the option instead of its letter.
"""

from __future__ import annotations

import re

_CHOICE = re.compile(r"\(?([a-jA-J])\)?|\(([A-J])\).*|([A-J])[.):].*", re.DOTALL)
_REFERENCE_CHOICE = re.compile(r"\(?([A-J])\)?|\(([A-J])\)\s+(\S.*)", re.DOTALL)
_MARKUP = re.compile(r"\\(?:text\w*|mathrm|mathbf|mbox)\s*\{|[{}$*]|\\(?=[^a-zA-Z{}])")
_OPTION = re.compile(r"\(([A-J])\)|(?<!\S)([A-J])[.):](?=\s)")
_EDGE = " \t\n,;.$*"


def is_choice(reference: str, kind: str) -> bool:
    """Whether the reference is the letter of an option."""
    return kind == "choice" or (kind == "" and bool(_REFERENCE_CHOICE.fullmatch(reference.strip())))


def choice_letter(answer: str) -> str:
    """The option that an answer such as `(B)`, `B.`, `\\text{B}` or `B) 42` names, else empty."""
    match = _CHOICE.fullmatch(_MARKUP.sub("", answer).strip())
    return next((g for g in match.groups() if g), "").upper() if match else ""


def option_text(reference: str) -> str:
    """What stands after the letter of a reference such as `(B) 4^x`, else empty."""
    match = _REFERENCE_CHOICE.fullmatch(reference.strip())
    return (match[3] or "") if match else ""


def with_option(reference: str, question: str) -> str:
    """`B` as `(B) 4^x`, read from a question whose options are marked A, B, C and so on in order.

    The reference as it is where the options cannot be read with certainty.
    """
    letter = choice_letter(reference)
    marks = list(_OPTION.finditer(question))
    letters = "".join(mark[1] or mark[2] for mark in marks)
    if letter not in letters or letters != "ABCDEFGHIJ"[: len(letters)] or len(letters) < 2:
        return reference
    place = letters.index(letter)
    end = marks[place + 1].start() if place + 1 < len(marks) else len(question)
    option = question[marks[place].end() : end].strip(_EDGE)
    is_whole = option and option.count("{") == option.count("}") and "\n\n" not in option
    return f"({letter}) {option}" if is_whole else reference
