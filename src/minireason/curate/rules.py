"""Domain and level by rules: from what a source says, from words, from the steps of a solution."""

from __future__ import annotations

import re
from functools import lru_cache

from minireason.records import DOMAINS, LEVELS

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


@lru_cache(maxsize=4096)  # sources have few labels and many questions
def stated_domain(label: str) -> str:
    """The domain that a source's subject names, else the subject itself; empty if it names none."""
    if label in DOMAINS or label.lower() == "prealgebra":  # MATH's: a little of everything
        return label if label in DOMAINS else ""
    return domain_by_words(label) or label


@lru_cache(maxsize=4096)
def stated_level(label: str) -> str:
    """The level that a source's word names, else the word itself; empty if it names none."""
    if label in LEVELS:
        return label
    stated = label.lower().replace("_", " ")
    for pattern, level in _LEVEL_RULES:
        if pattern.search(stated):
            return level
    return "" if stated.endswith("?") else label  # MATH marks a few as "Level ?"


def domain_by_words(text: str) -> str:
    """The domain whose words a text uses most; empty where it uses none."""
    lowered = text.lower()
    counts = {name: len(rule.findall(lowered)) for name, rule in _DOMAIN_RULES.items()}
    best = max(counts, key=lambda name: counts[name])  # the first of equals
    return best if counts[best] else ""


def level_by_steps(solution: str) -> str:
    """The level by the number of steps of a solution; empty where there is none."""
    steps = num_steps(solution)
    if not steps:
        return ""
    return next((level for most, level in _MOST_STEPS if steps <= most), "graduate")


def num_steps(solution: str) -> int:
    """Sentences and lines of a solution; 0 where there is none."""
    return sum(bool(part.strip()) for part in _STEP_END.split(solution))
