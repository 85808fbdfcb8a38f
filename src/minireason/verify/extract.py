"""Find the final answer in a response, in time linear in its length.

The rules, the first that finds something wins: the last box; the last `#### x`; the last phrase
"answer is x" or "Answer: x"; where the question is multiple choice, the last letter standing alone;
a response so short that it is nothing but its answer; if asked, the last number of all. Only the
text after the last end-of-thinking marker counts, unless nothing is found there. An unclosed final
box is a cut-off response: it has no answer, whatever stood before it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

THINKING_ENDS = ("</think>", "<|end_of_thought|>")
_TAIL = 4_000
_SHORT = 300
_PHRASE_LENGTH = 500
_MAX_BOXES = 20

_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"[ \t]+(-?[^\s${}\\]+|\\[a-zA-Z]+)")
_OPENING = re.compile(r"\s*\{")
_BOX_GAP = re.compile(r"(?:[^.\n]{0,40}\b)?(?:and|or)$|[,;]?$")
_GAP_NOISE = re.compile(r"\\(?:text\w*|mbox|quad|qquad|[,;:! ()\[\]])|[${}~\s]")
_HASHES = re.compile(r"####[ \t]*([^\n]*)")
_PHRASE = re.compile(
    r"(?i)(?:\banswers?\b[^.:\n=]{0,60}?(?:\b(?:is|are|be)\b|:|=)|(?m:^A:)|"
    r"(?m:^Answer[ \t]*(?=\$)))[*_\s]*(?:is\b\s*)?:?"
)
_SENTENCE_END = re.compile(r"\.(?=\s|$)|\n|<\||\bI hope\b")
_FORMULA = re.compile(r"\$\$?([^$]+)\$\$?|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_WORD = re.compile(r"(?<![\\a-zA-Z])(?!sqrt|pi\b|sin|cos|tan|log|ln|exp)[a-zA-Z]{2,}")
_NUMBER = re.compile(r"(?<![\w.,])[-−]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:\s*/\s*\d+)?(?:\s?\\?%)?")
_LONE_LETTER = re.compile(r"\(([A-J])\)|(?m:^[ \t*]*([A-J])[.):]?[ \t*]*$)|\b([A-J])\)")


@dataclass(frozen=True, slots=True)
class Extraction:
    """The answer's text and the rule that found it; the text is empty where there is none.

    Rules: boxed, hashes, phrase, choice, whole, number; unclosed_box and none where nothing was
    found.
    """

    text: str
    rule: str


def extract(response: str, is_choice: bool = False, *, unmarked: bool = False) -> Extraction:
    """The final answer of a response.

    `is_choice` also looks for an option's letter, `unmarked` takes the last number of a response
    that marks no answer.
    """
    final = _after_thinking(response)
    found = _apply_rules(final, is_choice)
    if found.rule == "none" and len(final) < len(response):
        found = _apply_rules(response, is_choice)
    if unmarked and not is_choice and found.rule in ("none", "whole"):
        return _last_number(final, found)
    return found


def extract_reference(answer: str) -> str:
    """A reference answer without the solution around it: its box or `####` if it has one."""
    boxed = _boxed(answer)
    if boxed is not None and boxed.text:
        return boxed.text
    return _last_hashes(answer) or answer


def _after_thinking(response: str) -> str:
    ends = [response.rfind(marker) + len(marker) for marker in THINKING_ENDS if marker in response]
    return response[max(ends) :] if ends else response


def _apply_rules(text: str, is_choice: bool) -> Extraction:
    boxed = _boxed(text)
    if boxed is not None:
        return boxed
    tail = text[-_TAIL:]
    for part in (tail, text) if len(tail) < len(text) else (text,):
        if hashes := _last_hashes(part):
            return Extraction(hashes, "hashes")
        if phrase := _last_phrase(part, is_choice):
            return Extraction(phrase, "phrase")
        if is_choice and (letter := _last_letter(part)):
            return Extraction(letter, "choice")
    short = text.strip() if len(text) <= 2 * _SHORT else ""
    if short and len(short) <= _SHORT and "\n" not in short:
        return Extraction(short if is_choice else _read_prose(short.rstrip(".")), "whole")
    return Extraction("", "none")


def _boxed(text: str) -> Extraction | None:
    """The last box, joined with the boxes it is listed with: `\\boxed{1}` and `\\boxed{2}`."""
    boxes = _box_names(text)
    start, end = next(boxes, (-1, -1))
    if start < 0:
        return None
    content = _box_content(text, end, len(text))
    if content is None:
        return Extraction("", "unclosed_box")
    contents = [content[0].strip()]
    for before, end in itertools.islice(boxes, _MAX_BOXES):
        earlier = _box_content(text, end, start)
        if earlier is None or not _is_listing(text[earlier[1] : start]):
            break
        contents.insert(0, earlier[0].strip())
        start = before
    return Extraction(", ".join(dict.fromkeys(c for c in contents if c)), "boxed")


def _box_names(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of `\\boxed`, `\\fbox` and `boxed` before a brace, the last one first."""
    end = len(text)
    while (found := text.rfind("box", 0, end)) >= 0:
        end = found
        if text.startswith("boxed", found):
            is_command = text[max(0, found - 1) : found] == "\\"
            if is_command or text.startswith("boxed{", found):
                yield found - is_command, found + 5
        elif text[max(0, found - 2) : found] == "\\f":
            yield found - 2, found + 3


def _box_content(text: str, start: int, end: int) -> tuple[str, int] | None:
    """What a box holds and where it ends; None if it does not close before `end`."""
    bare = _BARE_BOX.match(text, start, end)
    if bare:
        return bare[1].rstrip(".,;"), bare.end()
    opening = _OPENING.match(text, start, end)
    if opening is None:
        return None
    depth = 1
    for brace in _braces(text, opening.end(), end):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[opening.end() : brace.start()], brace.end()
    return None


def _braces(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    return (m for m in _BRACE.finditer(text, start, end) if m[0] in "{}")


def _is_listing(gap: str) -> bool:
    return len(gap) <= 80 and bool(_BOX_GAP.match(_GAP_NOISE.sub(" ", gap).rstrip(" \\").strip()))


def _last_hashes(text: str) -> str:
    start = text.rfind("####")
    found = _HASHES.match(text, start) if start >= 0 else None
    return found[1].strip() if found else ""


def _last_phrase(text: str, is_choice: bool) -> str:
    last = ""
    for match in _PHRASE.finditer(text):
        phrase = text[match.end() : match.end() + _PHRASE_LENGTH].lstrip(" \t\n*_:")
        end = _SENTENCE_END.search(phrase, 2 if phrase.startswith("\\[") else 0)
        if phrase.startswith(("\\[", "$$")):
            closing = _FORMULA.match(phrase)
            phrase = closing[0] if closing else phrase
        elif end:
            phrase = phrase[: end.start()]
        last = phrase.strip(" *_\t\n") or last
    return last if is_choice else _read_prose(last)


def _read_prose(phrase: str) -> str:
    """The one formula or number that a sentence states; the phrase itself if it is no sentence."""
    formulas = [next(group for group in m.groups() if group) for m in _FORMULA.finditer(phrase)]
    if not _WORD.search(_FORMULA.sub(" ", phrase)):
        return phrase
    if len(formulas) == 1 and re.search(r"[\d\\]", formulas[0]):
        trailing_percent = re.search(r"\$\s*(\\?%|percent|pct)", phrase)
        return formulas[0] + (r"\%" if trailing_percent else "")
    for part in (phrase, re.split(r"\b(?:is|are|equals)\b|=", phrase)[-1]):
        numbers = _NUMBER.findall(part)
        if len(numbers) == 1 and not re.search(r"\\(?!%)", part) and not _FORMULA.search(part):
            is_percent = re.search(r"\d\s*(percent|pct)", part)
            return numbers[0].rstrip(",") + (r"\%" if is_percent else "")
    return phrase


def _last_number(text: str, found: Extraction) -> Extraction:
    """The last number or the formula it stands in, unless a short response is its answer."""
    if re.search(r"[$\\]", found.text) or (found.text and not _WORD.search(found.text)):
        return found
    tail = text[-_TAIL:]
    number = _last_match(_NUMBER, tail)
    if number is None:
        return found
    formula = _last_match(_FORMULA, tail)
    if formula and formula.start() <= number.start() < formula.end():
        return Extraction(next(group for group in formula.groups() if group).strip(), "number")
    return Extraction(number[0].rstrip(","), "number")


def _last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    last = None
    for match in pattern.finditer(text):
        last = match
    return last


def _last_letter(text: str) -> str:
    last = _last_match(_LONE_LETTER, text)
    return next(group for group in last.groups() if group) if last else ""
