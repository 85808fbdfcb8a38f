"""The tables of `benchmarks/annotations.py DATA --only classifier`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

from annotation_tables import load, share, table

from minireason.curate.annotate import MIN_DOMAIN_PROBABILITY, MIN_LEVEL_PROBABILITY, annotate
from minireason.curate.classifier import Classifier, carried_classifier
from minireason.curate.classifier_training import (
    DOMAIN_OF_SUBJECT,
    Labelled,
    groups_of_near_copies,
    labelled,
    train,
)
from minireason.curate.rules import domain_by_words, level_by_steps, stated_level
from minireason.records import DOMAINS, LEVELS, Question

MODULES = {  # TAL's subjects that are of one domain
    "Geometry": "geometry",
    "Number Theory": "number_theory",
    "Counting Modules": "counting",
    "Whole Numbers": "arithmetic",
    "Fractions": "arithmetic",
    "Decimals": "arithmetic",
}
OLYMPIAD = {"Combinatorics": "counting", "Geometry": "geometry", "Number Theory": "number_theory"}
OTHERS = {  # sets that the carried classifier did not learn from, and what their subjects say
    "benchmarks/math500": DOMAIN_OF_SUBJECT.get,
    "benchmarks/gsm8k_test": DOMAIN_OF_SUBJECT.get,
    "benchmarks/svamp_test": lambda subject: "arithmetic",
    "benchmarks/olympiadbench": {**OLYMPIAD, "Algebra": "algebra"}.get,
    "problems/tal_scq5k_en_train": lambda s: next((d for m, d in MODULES.items() if m in s), ""),
    "benchmarks/aqua_test": lambda subject: "",
    "benchmarks/amc2023": lambda subject: "",
    "benchmarks/aime2024": lambda subject: "",
}


def classifier(data: Path) -> None:
    questions = load(data, "problems/math_train") + load(data, "problems/gsm8k_train")
    groups = groups_of_near_copies([q.text for q in questions])
    held_out = [crc32(str(group).encode()) % 5 == 0 for group in groups]
    kept = [labelled(q) for q, out in zip(questions, held_out, strict=True) if not out]
    model = train(kept)
    tested = [q for q, out in zip(questions, held_out, strict=True) if out]
    math = [q for q in tested if q.source == "MATH"]
    rows = {"MATH, held out": (math, model, DOMAIN_OF_SUBJECT.get)}
    gsm8k = [q for q in tested if q.source == "GSM8K"]
    rows["GSM8K, held out"] = (gsm8k, model, DOMAIN_OF_SUBJECT.get)
    for name, subject in OTHERS.items():
        rows[name.split("/")[1]] = (
            unseen(questions, load(data, name)),
            carried_classifier(),
            subject,
        )
    domain_table(rows)
    level_table(rows)
    confusions(math, model)
    five_levels(questions, held_out)
    bare = [Question(q.id, q.text, q.answer, q.source) for q in questions]
    annotate(bare[:10])
    start = time.perf_counter()
    annotate(bare)
    print(f"\n{len(bare) / (time.perf_counter() - start):,.0f} questions a second")


def unseen(train_set: Sequence[Question], questions: Sequence[Question]) -> list[Question]:
    """The questions that are no near copy of one that the classifier learned from."""
    groups = groups_of_near_copies([q.text for q in (*train_set, *questions)])
    seen = set(groups[: len(train_set)])
    return [q for q, g in zip(questions, groups[len(train_set) :], strict=True) if g not in seen]


def domain_table(sets: dict) -> None:
    rows = []
    for name, (questions, model, subject) in sets.items():
        known = [(q, d) for q in questions if (d := subject(q.domain or "") or "")]
        if not known:
            continue
        predicted = [p for p, _ in model.predict([q.text for q, _ in known])]
        pairs = [
            (d, p, domain_by_words(q.text)) for (q, d), p in zip(known, predicted, strict=True)
        ]
        sure = [p.probability >= MIN_DOMAIN_PROBABILITY for _, p, _ in pairs]
        used = [(d, p.label if s else w) for (d, p, w), s in zip(pairs, sure, strict=True)]
        rows.append(
            (
                name,
                len(known),
                max(Counter(d for d, _, _ in pairs).values()) / len(known),
                share(d == w for d, _, w in pairs),
                share(d == p.label for d, p, _ in pairs),
                share(sure),
                share(d == label for d, label in used),
            )
        )
    head = "set,questions,largest domain,words alone,classifier alone,sure,as used"
    table("Domain: share right", head, rows)


def level_table(sets: dict) -> None:
    rows = []
    for name, (questions, model, _) in sets.items():
        known = [(q, d) for q in questions if (d := stated_level(q.level)) in LEVELS]
        if not known:
            continue
        predicted = [p for _, p in model.predict([q.text for q, _ in known])]
        steps = [level_by_steps(q.solution) for q, _ in known]
        truth = [d for _, d in known]
        sure = [p.probability >= MIN_LEVEL_PROBABILITY for p in predicted]
        used = [p.label if s else w for p, s, w in zip(predicted, sure, steps, strict=True)]
        given = [(d, u) for d, u in zip(truth, used, strict=True) if u]
        rows.append(
            (
                name,
                len(known),
                max(Counter(truth).values()) / len(known),
                share(d == w for d, w in zip(truth, steps, strict=True)),
                share(d == p.label for d, p in zip(truth, predicted, strict=True)),
                share(near(d, p.label) for d, p in zip(truth, predicted, strict=True)),
                len(given) / len(known),
                share(d == u for d, u in given),
            )
        )
    head = (
        "set,questions,largest level,steps alone,classifier alone,within one,given as used,"
        "right of these"
    )
    table("Level: share right", head, rows)


def near(one: str, other: str) -> bool:
    return bool(other) and abs(LEVELS.index(one) - LEVELS.index(other)) <= 1


def confusions(questions: Sequence[Question], model: Classifier) -> None:
    predicted = model.predict([q.text for q in questions])
    for place, names, truth in (
        (0, DOMAINS, [DOMAIN_OF_SUBJECT.get(q.domain, "") for q in questions]),
        (1, LEVELS[:4], [stated_level(q.level) for q in questions]),
    ):
        counts = Counter((t, p[place].label) for t, p in zip(truth, predicted, strict=True))
        rows = [
            (t, *(counts[t, p] for p in names)) for t in names if any(counts[t, p] for p in names)
        ]
        table("MATH held out: true by predicted", "true," + ",".join(names), rows)


def five_levels(questions: Sequence[Question], held_out: Sequence[bool]) -> None:
    """The same model on MATH's own five levels."""
    math = [
        (Labelled(q.text, labelled(q).domain, q.level[-1]), out)
        for q, out in zip(questions, held_out, strict=True)
        if q.source == "MATH" and q.level[-1].isdigit()
    ]
    model = train([row for row, out in math if not out])
    tested = [row for row, out in math if out]
    predicted = [level.label for _, level in model.predict([row.text for row in tested])]
    off = [abs(int(row.level) - int(p)) for row, p in zip(tested, predicted, strict=True)]
    largest = max(Counter(row.level for row in tested).values()) / len(tested)
    print(f"\nMATH's five levels, held out: {len(tested)} questions, largest {largest:.3f},")
    print(f"exact {share(o == 0 for o in off):.3f}, within one {share(o <= 1 for o in off):.3f}")
