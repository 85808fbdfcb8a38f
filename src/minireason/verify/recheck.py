"""The judge at work on many cases: each different one asked once, every call logged.

The log is a journal while the work lasts, so that no finished call is repeated after a kill, and is
put into the order of the cases at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from minireason.endpoint.asking import Asked, ask_all
from minireason.endpoint.session import Request
from minireason.journal import Entry, Journal
from minireason.verify.judge import Case, Judge, read_judgement
from minireason.verify.verifier import Decision

Call = tuple[str, str, str]
"""Question, reference and extracted answer: rollouts that agree in these share a call."""


def recheck(judge: Judge, cases: Sequence[Case], log: Path) -> list[Decision]:
    """The decisions on the cases, in order, with those that the judge made in place of the rules'.

    A call that fails, or whose answer cannot be read, leaves the rules' decision. Raises
    SamplingError where the server refuses or fails everything.
    """
    alike: dict[Call, list[Case]] = {}
    for case in cases:
        if judge.takes(case):
            alike.setdefault(_call(case), []).append(case)
    journal = Journal(log, judge.settings())
    made = {_call_of(entry): entry for entry in journal.entries()}
    missing = [call for call in alike if made.get(call, {}).get("verdict", "failed") == "failed"]

    def requests() -> Iterator[tuple[Call, Request]]:
        for call in missing:
            yield call, judge.request(alike[call][0])

    def keep(asked: Asked[Call]) -> None:
        made[asked.key] = _entry(asked, alike[asked.key])
        journal.append(made[asked.key])

    if missing:
        for _ in ask_all(judge.endpoint, requests(), keep):
            pass
    if alike:
        journal.rewrite([made[call] for call in alike])
    return [_decided(case, made.get(_call(case)) if judge.takes(case) else None) for case in cases]


def count_calls(entries: Iterable[Entry]) -> Counter[str]:
    """What the judge did, in rollouts, and what its calls took."""
    counts: Counter[str] = Counter()
    for entry in entries:
        counts["judged"] += entry["num_rollouts"]
        counts[f"judge: {_effect(entry)}"] += entry["num_rollouts"]
        counts["judge calls"] += 1
        counts["judge prompt tokens"] += entry["prompt_tokens"]
        counts["judge completion tokens"] += entry["completion_tokens"]
    return counts


def _effect(entry: Entry) -> str:
    """What became of the rules' verdict."""
    ruled, judged = entry["rule_verdict"], entry["verdict"]
    if judged not in ("correct", "incorrect"):
        return str(judged)
    if ruled == "unknown":
        return f"unknown is {judged}"
    return "confirmed" if ruled == judged else f"overturned to {judged}"


def _call(case: Case) -> Call:
    return case.question, case.reference, case.decision.extracted


def _call_of(entry: Entry) -> Call:
    return entry["question"], entry["reference"], entry["extracted"]


def _entry(asked: Asked[Call], alike: Sequence[Case]) -> Entry:
    first, reply = alike[0], asked.reply
    return {
        "question_id": first.question_id,
        "index": first.index,
        "num_rollouts": len(alike),
        "question": first.question,
        "reference": first.reference,
        "extracted": first.decision.extracted,
        "rule_verdict": first.decision.verdict,
        "rule_method": first.decision.method,
        "rule_reason": first.decision.reason,
        "verdict": read_judgement(reply) if reply else "failed",
        "reply": reply.text if reply else "",
        "failure": asked.failure,
        "prompt_tokens": asked.usage.prompt_tokens,
        "completion_tokens": asked.usage.completion_tokens,
    }


def _decided(case: Case, entry: Mapping[str, str] | None) -> Decision:
    rules = case.decision
    verdict = entry["verdict"] if entry else ""
    if verdict not in ("correct", "incorrect"):
        return rules
    why = f"the rules said {rules.verdict} by {rules.method}"
    reason = f"{why}: {rules.reason}" if rules.reason else why
    return Decision(
        "correct" if verdict == "correct" else "incorrect", rules.extracted, "judge", reason
    )
