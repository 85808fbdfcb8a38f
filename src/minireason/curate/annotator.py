"""Domain and level by a language model, for questions whose source names neither (as the paper).

Any OpenAI-compatible server will do. Every call is kept in a journal, so an interrupted run asks
nothing twice; an answer that cannot be read leaves its question to the classifier and the rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from string import Template

from minireason.curate.rules import stated_domain, stated_level
from minireason.endpoint.asking import Asked, ask_all
from minireason.endpoint.prompt import greedy_request, load_prompt, prompt_digest, quoted
from minireason.endpoint.reply import Reply
from minireason.endpoint.server import Endpoint
from minireason.endpoint.session import Request
from minireason.journal import Journal
from minireason.records import DOMAINS, LEVELS, Question

_BATCH = 4_096
_LONGEST_QUESTION = 8_000
_MAX_TOKENS = 4_096
_LINE = re.compile(r"[\W_]*(domain|level)[\W_]*:[\W_]*([a-z_ ]+?)[\W_]*", re.IGNORECASE)

Labels = tuple[str, str]
"""Domain and level; empty where the model gave none that is known."""


@dataclass(frozen=True, slots=True)
class Annotator:
    """The model behind `endpoint`, its calls kept in the journal at `log`."""

    endpoint: Endpoint
    log: Path

    def annotate(self, questions: Iterable[Question]) -> Iterator[Question]:
        """The questions in order, with what the model says where the source does not."""
        journal = self._journal()
        known = {e["question_id"]: (e["domain"], e["level"]) for e in journal.entries()}
        stream = iter(questions)
        while batch := list(islice(stream, _BATCH)):
            self._ask([q for q in batch if _is_open(q) and q.id not in known], known, journal)
            for question in batch:
                yield _labelled(question, known.pop(question.id, ("", "")))

    def _journal(self) -> Journal:
        settings = {"model": self.endpoint.model, "prompt": prompt_digest(_prompt())}
        return Journal(self.log, settings)

    def _ask(self, asked: Sequence[Question], known: dict[str, Labels], journal: Journal) -> None:
        def keep(result: Asked[str]) -> None:
            if result.reply is None:  # asked again by the next run, left to the rules in this one
                return
            known[result.key] = domain, level = read_labels(result.reply)
            journal.append(
                {
                    "question_id": result.key,
                    "domain": domain,
                    "level": level,
                    "reply": result.reply.text,
                }
            )

        requests = ((question.id, self._request(question)) for question in asked)
        for _ in ask_all(self.endpoint, requests, keep) if asked else ():
            pass

    def _request(self, question: Question) -> Request:
        places = {
            "question": quoted(question.text[:_LONGEST_QUESTION]),
            "domains": ", ".join(DOMAINS),
            "levels": ", ".join(LEVELS),
        }
        return greedy_request(self.endpoint.model, _prompt(), places, _MAX_TOKENS)


def read_labels(reply: Reply) -> Labels:
    """What an answer says on lines of their own, the last of each kind; thinking is not read."""
    found = {"domain": "", "level": ""}
    for line in reply.content.splitlines():
        if match := _LINE.fullmatch(line.strip()):
            found[match[1].lower()] = match[2].strip().lower().replace(" ", "_")
    domain, level = found["domain"], found["level"]
    return domain if domain in DOMAINS else "", level if level in LEVELS else ""


def _is_open(question: Question) -> bool:
    return not (stated_domain(question.domain) and stated_level(question.level))


def _labelled(question: Question, labels: Labels) -> Question:
    domain, level = labels
    return replace(
        question,
        domain=question.domain if stated_domain(question.domain) else domain or question.domain,
        level=question.level if stated_level(question.level) else level or question.level,
    )


def _prompt() -> Template:
    return load_prompt("minireason.curate", "annotator.txt")
