"""How often curation's annotations are right: domain and level, repetition, copies, contamination.

    python benchmarks/annotations.py DATA [--only classifier|repetition|duplicates|overlaps]

DATA holds `problems`, `benchmarks` and `rollouts`. The labels in benchmarks/labels are ids with a
reading of ours, without texts. Speeds are of one core.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from zlib import crc32

from annotation_classifier import classifier
from annotation_tables import labels, load, share, table

from minireason.curate.decontaminate import ContaminationIndex
from minireason.curate.language import foreign_share
from minireason.curate.near_duplicates import NearDuplicateIndex, mark_near_duplicates
from minireason.curate.repetition import Repetition, repetition, repetition_score
from minireason.curate.shingles import fingerprint, jaccard
from minireason.records import Question

# Repetition

MEASURES: dict[str, Callable[[Repetition], float]] = {
    "n-grams": lambda r: r.ngrams,
    "loop": lambda r: r.loop,
    "compression, 2c - 1": lambda r: 2 * r.compression - 1,
    "n-grams or loop": lambda r: max(r.ngrams, r.loop),
    "score (all three)": lambda r: r.score,
}


def repetitions(data: Path) -> None:
    rows = {}
    for path in sorted((data / "rollouts").glob("*.jsonl.gz")):
        with gzip.open(path) as lines:
            rows |= {row["id"]: row for row in map(json.loads, lines)}
    found = {id: repetition(row["response"]) for id, row in rows.items()}
    halves: list[list[tuple[Repetition, str]]] = [[], []]
    for id, label in labels("repetition"):
        halves[crc32(id.encode()) % 2].append((found[id], label))
    for title, half in zip(("chosen on", "reported on"), halves, strict=True):
        counts = ", ".join(f"{n} {name}" for name, n in Counter(x for _, x in half).most_common())
        scores = [
            (name, threshold, *precision_recall(half, measure, threshold))
            for name, measure in MEASURES.items()
            for threshold in (0.4, 0.5, 0.6)
        ]
        table(f"Half {title}: {counts}", "measure,above,precision,recall,recall of loops", scores)
    right = [i for i, r in rows.items() if r["label"] is True and r.get("has_end") is not False]
    dropped = {above: sum(found[id].score > above for id in right) for above in (0.4, 0.5, 0.6)}
    print(f"\ncorrect and complete: {len(right)}, dropped above a score: {dropped}")
    foreign = [foreign_share(row["response"], row["question"]) for row in rows.values()]
    shares = [f"{x:.5f}" for x in sorted(foreign, reverse=True) if x]
    print(f"letters in another script, of {len(foreign):,} responses: {', '.join(shares)}")
    texts = [row["response"] for row in rows.values() if len(row["response"]) > 10_000]
    size = sum(len(text.encode()) for text in texts) / 1e6
    start = time.perf_counter()
    for text in texts:
        repetition_score(text)
    print(
        f"{size / (time.perf_counter() - start):.0f} MB/s over {len(texts)} texts of 10 kB or more"
    )


def precision_recall(
    rows: Sequence[tuple[Repetition, str]], measure: Callable[[Repetition], float], above: float
) -> tuple[float | str, float | str, float | str]:
    said = [(measure(found) > above, label) for found, label in rows]
    return (
        share(label != "fine" for is_said, label in said if is_said),
        share(is_said for is_said, label in said if label != "fine"),
        share(is_said for is_said, label in said if label == "loop"),
    )


# Duplicates


def duplicates(data: Path) -> None:
    names = ("gsm8k_train", "math_train", "tal_scq5k_en_train")
    sets = {name: load(data, f"problems/{name}") for name in names}
    by_id = {q.id: q for questions in sets.values() for q in questions}
    rows = []
    for with_answer in (True, False):
        pairs = [
            (similarity(by_id[one], by_id[other], with_answer), label == "same")
            for one, other, label in labels("duplicates")
        ]
        for threshold in (0.2, 0.3, 0.4, 0.5, 0.7):
            found = [is_same for jaccard_, is_same in pairs if jaccard_ >= threshold]
            recall = sum(found) / sum(is_same for _, is_same in pairs)
            rows.append(("yes" if with_answer else "no", threshold, share(found), recall))
    table("Labelled pairs", "same answer asked for,Jaccard from,precision,recall", rows)
    found = [
        (name, len(qs), sum(d is not None for _, d in mark_near_duplicates(qs)))
        for name, qs in sets.items()
    ]
    table("Near-duplicates in", "set,questions,found", found)
    edits([*sets["gsm8k_train"][:500], *sets["math_train"][:500]])
    cost(list(by_id.values()))


def similarity(one: Question, other: Question, with_answer: bool) -> float:
    prints = [fingerprint(q.text, q.answer if with_answer else "") for q in (one, other)]
    return jaccard(prints[0].shingles, prints[1].shingles)


def edits(questions: Sequence[Question]) -> None:
    """Share of questions found again after an edit; the answer stays."""
    rng = random.Random(0)
    kinds: dict[str, Callable[[str], str]] = {
        "upper case": str.upper,
        "LaTeX spacing": lambda t: t.replace("=", r"\,=\;").replace(" ", "  "),
        "a word inserted": lambda t: edited_word(t, rng, keep=True),
        "a word replaced": lambda t: edited_word(t, rng, keep=False),
        "first two sentences exchanged": exchanged_sentences,
        "a number changed": lambda t: re.sub(r"\d+", lambda m: str(int(m[0]) + 1), t, count=1),
        "two numbers exchanged": exchanged_numbers,
    }
    index = NearDuplicateIndex()
    kept = [q for q in questions if index.find_or_add(q.id, q.text, q.answer) is None]
    rows = []
    for kind, edit in kinds.items():
        changed = [(q, text) for q in kept if (text := edit(q.text)) != q.text]
        hits = [
            (d := index.find(text, q.answer)) is not None and d.id == q.id for q, text in changed
        ]
        rows.append((kind, len(changed), share(hits)))
    table("Edited questions", "edit,questions,found again", rows)


def edited_word(text: str, rng: random.Random, keep: bool) -> str:
    words = text.split(" ")
    place = rng.randrange(len(words))
    if re.search(r"[\d$\\]", words[place]):
        return text
    return " ".join([*words[:place], "exactly", *words[place + (not keep) :]])


def exchanged_sentences(text: str) -> str:
    sentences = re.split(r"(?<=[.!?])\s+", text)
    return " ".join([sentences[1], sentences[0], *sentences[2:]]) if len(sentences) > 2 else text


def exchanged_numbers(text: str) -> str:
    numbers = list(re.finditer(r"\d+", text))
    if len(numbers) < 2:
        return text
    a, b = numbers[:2]
    return text[: a.start()] + b[0] + text[a.end() : b.start()] + a[0] + text[b.end() :]


def cost(questions: Sequence[Question], num: int = 200_000) -> None:
    """Time and memory a question, on copies of the questions with another number each."""
    index = NearDuplicateIndex()
    empty, start = index.num_bytes, time.perf_counter()
    for i in range(num):
        q = questions[i % len(questions)]
        index.find_or_add(f"source/train/{i}", f"{q.text} {i // len(questions)}", q.answer)
    speed = num / (time.perf_counter() - start)
    each = (index.num_bytes - empty) / len(index)
    print(f"\n{num:,} questions: {speed:,.0f} a second; {len(index):,} kept, {each:.0f} bytes each")
    print(f"and {empty / 1e6:.0f} MB of tables: {(empty + each * 1e6) / 1e6:.0f} MB for a million")


# Contamination


def overlaps(data: Path) -> None:
    train_set = [
        q
        for p in sorted((data / "problems").glob("*.jsonl"))
        for q in load(data, f"problems/{p.stem}")
    ]
    tested = [
        q
        for p in sorted((data / "benchmarks").glob("*.jsonl"))
        for q in load(data, f"benchmarks/{p.stem}")
    ]
    same = {(a, b) for a, b, label in labels("overlaps") if label == "same"}
    read = {(a, b) for a, b, _ in labels("overlaps")}
    rows = []
    for name, settings in (
        ("exact and 8-grams from 0.8", {"min_jaccard": 0.0}),
        ("near from 0.3 alone", {"min_overlap": 1.0}),
        ("all, as used", {}),
    ):
        index = ContaminationIndex(tested, **settings)
        start = time.perf_counter()
        found = [hit for q in train_set if (hit := index.find(q))]
        speed = len(train_set) / (time.perf_counter() - start)
        pairs = {(hit.question_id, hit.evaluation_id) for hit in found}
        rows.append(
            (name, len(found), len(pairs & same), len(same), len(pairs - read), f"{speed:,.0f}")
        )
    print(f"\n{len(train_set):,} training questions against {len(tested):,} of benchmarks")
    table("Flagged", "rules,flagged,the same problem,of known,not read,questions a second", rows)
    by_id = {q.id: q for q in train_set}
    listed(data, by_id)


def listed(data: Path, by_id: dict[str, Question]) -> None:
    """What overlaps.jsonl lists: its test questions are not here, but two of one are copies."""
    lines = (data / "overlaps.jsonl").read_text(encoding="utf-8").splitlines()
    groups: dict[str, list[Question]] = {}
    for row in map(json.loads, lines):
        if row["train_id"] in by_id:
            groups.setdefault(row["test_id"], []).append(by_id[row["train_id"]])
    pairs = {(g[0].id, other.id) for g in groups.values() for other in g[1:]}
    found = sum(similarity(by_id[a], by_id[b], True) >= 0.3 for a, b in pairs)
    print(f"\nlisted with a training question here: {len(groups)} test questions; ", end="")
    print(f"pairs of training questions listed for one: {len(pairs)}, near-duplicates: {found}")


SECTIONS = {
    "classifier": classifier,
    "repetition": repetitions,
    "duplicates": duplicates,
    "overlaps": overlaps,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--only", choices=SECTIONS)
    args = parser.parse_args()
    for name, section in SECTIONS.items():
        if args.only in (None, name):
            print(f"\n## {name}")
            section(args.data)


if __name__ == "__main__":
    main()
