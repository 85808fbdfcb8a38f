"""Domain and level of a question, from what its source says or else from its text.

Differs from the paper, which annotates with language models: these are rules, the same every time
and free. A domain or level that the source names and no rule knows is kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from minireason.records import DOMAINS, LEVELS, Question

# In the order in which a tie is decided: the narrow before the broad.
_DOMAIN_WORDS = {
    "geometry": r"triangle|circle|polygon|quadrilateral|rectang|perimeter"
    r"|circumference|radius|diameter|diagonal|hypotenuse|parallel|perpendicular"
    r"|angle|geometr|trigonom|vertices|vertex|tangent|sphere|cylinder|cone\b|cube\b|pyramid"
    r"|prism|hexagon|pentagon|trapezoid|parallelogram|midpoint|\barea\b|\\overline|\\angle",
    "counting": r"probabilit|how many ways|how many (?:different|distinct|possible)|arrange"
    r"|permutation|combination|combinatori|\bcounting\b|\bdice\b|\bdie\b|\bcoins? (?:is|are)"
    r"|at random|randomly|expected value|choose|chosen|\\binom|subset|statistic",
    "number_theory": r"number[ _]theory|divisor|divisib|divides|\bprimes?\b|remainder|modulo"
    r"|\\pmod|\bgcd\b|\blcm\b|greatest common|least common|multiple of|perfect square|\bbase \d"
    r"|digits?\b|coprime|relatively prime|congruent modulo|factorial",
    "algebra": r"algebra|polynomial|equation|solve for|roots?\b|quadratic|function|\bf\(x\)"
    r"|inequalit|\\log|logarithm|sequence|series|matri|vector|complex number|calculus"
    r"|simplify|expression|system of|\bvariables?\b|\bx\b|coefficient",
    "arithmetic": r"arithmetic|\badd\b|addition|subtract|multiplicat|division|calculation|percent"
    r"|word problem|fraction|decimal|how much|how many|\btotal\b|\bcosts?\b|\bper\b|\bprice",
}
_DOMAIN_RULES = {name: re.compile(words) for name, words in _DOMAIN_WORDS.items()}

_LEVEL_RULES = tuple(
    (re.compile(pattern), level)
    for pattern, level in (
        (r"level [12]\b", "middle"),  # MATH: competitions of the high school, 1 to 5
        (r"level [34]\b", "high"),
        (r"level 5\b", "college"),
        (r"difficulty [01]\b", "elementary"),  # TAL-SCQ5K: competitions of the primary school
        (r"difficulty [2-4]\b", "middle"),
        (r"grade school|primary|elementary", "elementary"),
        (r"middle|junior", "middle"),
        (r"aime|olympiad|\bimo\b|undergraduate|college|university", "college"),
        (r"high|amc|gmat|gre\b|\bsat\b", "high"),
        (r"graduate|phd|expert", "graduate"),
    )
)
# Steps of a solution up to which a question without a stated level is of this level.
_MOST_STEPS = ((3, "elementary"), (6, "middle"), (12, "high"), (25, "college"))
_STEP_END = re.compile(r"[.!?]\s|\n|\\\\")


def annotate(questions: Iterable[Question]) -> list[Question]:
    """The questions with domain and level in DOMAINS and LEVELS wherever a rule decides them."""
    return [replace(q, domain=domain_of(q), level=level_of(q)) for q in questions]


def domain_of(question: Question) -> str:
    """The domain the source names, else the one whose words the text uses most, else empty."""
    if question.domain in DOMAINS:
        return question.domain
    return _best_domain(question.domain) or question.domain or _best_domain(question.text)


def level_of(question: Question) -> str:
    """The level the source names, else by the number of steps of the solution, else empty."""
    if question.level in LEVELS:
        return question.level
    stated = question.level.lower().replace("_", " ")
    for pattern, level in _LEVEL_RULES:
        if pattern.search(stated):
            return level
    if stated and not stated.endswith("?"):  # MATH marks a few as "Level ?"
        return question.level
    steps = num_steps(question.solution)
    if not steps:
        return ""
    return next((level for most, level in _MOST_STEPS if steps <= most), "graduate")


def num_steps(solution: str) -> int:
    """Sentences and lines of a solution; 0 where there is none."""
    return sum(bool(part.strip()) for part in _STEP_END.split(solution))


def _best_domain(text: str) -> str:
    lowered = text.lower()
    counts = {name: len(rule.findall(lowered)) for name, rule in _DOMAIN_RULES.items()}
    best = max(counts, key=lambda name: counts[name])  # the first of equals
    return best if counts[best] else ""
