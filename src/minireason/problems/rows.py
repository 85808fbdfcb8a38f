"""How one row of somebody's data set becomes a Question.

Where there is no answer column, the answer is what follows `####` (GSM8K) or the last `\\boxed{}`
of the solution (MATH). Rows with options become text with lettered options, a letter as the
answer and the answer kind "choice".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minireason.errors import DataError
from minireason.records import Question
from minireason.tables import RawRow

# The usual names, tried in this order without regard to case.
FALLBACKS = {
    "id": ("id", "unique_id"),
    "question": ("question", "problem", "prompt", "text"),
    "answer": ("answer", "gold", "final_answer", "expected_answer", "ground_truth", "correct"),
    "solution": ("solution", "rationale"),
    "domain": ("subject", "domain", "type"),
    "level": ("level", "difficulty"),
    "options": ("options", "choices"),
    "source": ("source",),
    "answer_kind": ("answer_kind",),
}
_CALCULATOR_MARK = re.compile(r"<<[^<>]*>>")
_OPTION_LABEL = re.compile(r"\s*\(?([A-Za-z])\s*[).:]\s*(.*)", re.DOTALL)
_LETTER = re.compile(r"\(?([A-Za-z])[).]?")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class QuestionColumns:
    """Column names of a source; an empty one means the first usual name that the row has."""

    id: str = ""
    question: str = ""
    answer: str = ""
    solution: str = ""
    domain: str = ""
    level: str = ""
    options: str = ""


def question_from_row(raw: RawRow, columns: QuestionColumns) -> Question:
    """The question of a row. Raises DataError, beginning with the row's place, if it has none."""
    row = _Row(raw, columns)
    text = row.string("question")
    solution = _CALCULATOR_MARK.sub("", row.string("solution"))
    answer = row.string("answer")
    if "####" in answer and not solution:  # GSM8K on the Hub keeps the solution in `answer`
        solution, answer = _CALCULATOR_MARK.sub("", answer), ""
    answer = answer or answer_of_solution(solution)
    kind = row.string("answer_kind")
    options = row.value("options")
    if options:
        letters, text = _with_options(row, text, options)
        answer, kind = _choice(row, answer, letters), "choice"
    if not text:
        raise row.error(f"no question; give one in a column {_names('question', columns)}")
    if not answer:
        raise row.error(
            f"no answer; give one in a column {_names('answer', columns)}, or a solution that "
            f"ends in #### or \\boxed{{}}"
        )
    return Question(
        id=row.string("id") or raw.id,
        text=text,
        answer=answer,
        source=row.string("source") or raw.source,
        domain=row.string("domain"),
        level=row.string("level"),
        answer_kind=kind,
        solution=solution,
    )


def answer_of_solution(solution: str) -> str:
    """What follows the last `####`, else what the last `\\boxed` holds, else nothing."""
    if "####" in solution:
        return solution.rpartition("####")[2].strip()
    start = max(solution.rfind("\\boxed"), solution.rfind("\\fbox"))
    if start < 0:
        return ""
    rest = solution[start:].removeprefix("\\boxed").removeprefix("\\fbox").lstrip()
    if not rest.startswith("{"):  # MATH writes a few as `\boxed 7`
        return re.split(r"[\s$]", rest, maxsplit=1)[0].rstrip(".,")
    depth = 0
    for match in re.finditer(r"\\.|[{}]", rest, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if not depth:
            return rest[1 : match.start()].strip()
    return ""


class _Row:
    """A parsed row: its columns by role, and errors that name its place."""

    def __init__(self, raw: RawRow, columns: QuestionColumns) -> None:
        self.where = raw.where
        self.columns = columns
        self.content = raw.parsed()
        self.lower = {str(name).lower(): value for name, value in self.content.items()}

    def error(self, message: str) -> DataError:
        return DataError(f"{self.where}: {message}")

    def value(self, role: str) -> Any:
        """The value of a role's column; None where the row has none."""
        name = getattr(self.columns, role, "")
        if name:
            if name not in self.content:
                have = ", ".join(map(str, self.content)) or "none"
                raise self.error(f"no column {name!r} for the {role}; the row has {have}")
            return self.content[name]
        found = (self.lower.get(name) for name in FALLBACKS[role])
        return next((value for value in found if value not in (None, "")), None)

    def string(self, role: str) -> str:
        """The value of a role as stripped text; empty where the row has none."""
        value = self.value(role)
        if role == "question" and isinstance(value, list):
            value = self._last_user_turn(value)
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)
        if value is None or value != value:  # NaN is how a table of floats says "none"
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.error(f"the {role} is a {type(value).__name__}; it must be text or a number")
        text = str(value).strip()
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise self.error(f"the {role} is not valid Unicode: {error}") from error
        return text

    def _last_user_turn(self, messages: list[Any]) -> Any:
        turns = [m for m in messages if isinstance(m, Mapping) and m.get("role") == "user"]
        if not turns:
            raise self.error("the question is a list without a message of the user")
        return turns[-1].get("content")


def _names(role: str, columns: QuestionColumns) -> str:
    return (
        repr(getattr(columns, role))
        if getattr(columns, role)
        else " or ".join(repr(name) for name in FALLBACKS[role])
    )


def _with_options(row: _Row, text: str, options: Any) -> tuple[list[str], str]:
    """The options without their labels, and the question followed by them, lettered anew."""
    if isinstance(options, Mapping):
        options = options.get("text", list(options.values()))  # {"label": [...], "text": [...]}
    if not isinstance(options, Sequence) or isinstance(options, str) or len(options) < 2:
        raise row.error("the options must be a list of two or more texts")
    if len(options) > len(_LETTERS):
        raise row.error(f"{len(options)} options; {len(_LETTERS)} are allowed")
    bare = [str(option).strip() for option in options]
    labels = [_OPTION_LABEL.fullmatch(option) for option in bare]
    if all(m and m[1].upper() == letter for m, letter in zip(labels, _LETTERS, strict=False)):
        bare = [m[2].strip() for m in labels if m]
    lines = [f"{letter}) {option}" for letter, option in zip(_LETTERS, bare, strict=False)]
    return bare, "\n".join([text, "", *lines]) if text else ""


def _choice(row: _Row, answer: str, options: list[str]) -> str:
    """The letter of the answer, given as a letter, as an option's text, or as a 0-based index."""
    letters = _LETTERS[: len(options)]
    match = _LETTER.fullmatch(answer)
    is_index = isinstance(row.value("answer"), int) and int(answer) in range(len(options))
    by_text = [letter for letter, o in zip(letters, options, strict=False) if o == answer]
    if match and match[1].upper() in letters:
        return match[1].upper()
    if is_index and not by_text:
        return letters[int(answer)]
    if len(by_text) == 1 and not is_index:
        return by_text[0]
    if not answer:
        return ""
    raise row.error(
        f"answer {answer!r} names no single option; give a letter {letters[0]} to {letters[-1]}"
    )
