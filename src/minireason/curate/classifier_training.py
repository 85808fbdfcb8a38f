"""Learn the weights of `classifier` from labelled questions (needs scikit-learn).

    python -m minireason.curate.classifier math_train.jsonl gsm8k_train.jsonl --out classifier.npz

Two multinomial logistic regressions, one for the domain and one for the level, over the same
words and pairs of words with TF-IDF weights of unit length; the features with the largest weights
are kept and both are fitted again on these alone.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rensa import CMinHash

from minireason.curate.classifier import Classifier, save_classifier, tokens
from minireason.curate.rules import domain_by_words, stated_level
from minireason.curate.shingles import fingerprint, jaccard
from minireason.errors import DataError
from minireason.problems.sources import load_questions
from minireason.records import LEVELS, Question

DOMAIN_OF_SUBJECT = {
    "Algebra": "algebra",
    "Intermediate Algebra": "algebra",
    "Precalculus": "algebra",
    "Geometry": "geometry",
    "Number Theory": "number_theory",
    "Counting & Probability": "counting",
    "arithmetic word problem": "arithmetic",
}
NUM_FEATURES = 4_000
_NO_LETTERS = re.compile(r"[\W\d_]+")
_MIN_QUESTIONS = 3  # that a feature must be in
_STRENGTH = 10.0  # inverse of the penalty on domain weights, by held-out accuracy
_LEVEL_STRENGTH = 2.0


@dataclass(frozen=True, slots=True)
class Labelled:
    """A question's text with its labels; an empty label is not learned from."""

    text: str
    domain: str
    level: str


def labelled(question: Question) -> Labelled:
    """The labels that a question's source states: its subject's domain, and one of LEVELS."""
    level = stated_level(question.level)
    domain = DOMAIN_OF_SUBJECT.get(question.domain, "")
    if question.domain == "Prealgebra":  # of every domain, and the only arithmetic with formulas
        by_words = domain_by_words(question.text)
        domain = by_words if by_words not in ("", "algebra") else "arithmetic"
    return Labelled(
        question.text,
        domain,
        level if level in LEVELS else "",
    )


def train(rows: Sequence[Labelled], num_features: int = NUM_FEATURES) -> Classifier:
    """The classifier learned from the rows. DataError where the labels are of one class only."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    domains, levels = (sorted({getattr(r, name) for r in rows} - {""}) for name in _TARGETS)
    if len(domains) < 2 or len(levels) < 2:
        raise DataError(
            f"domains are {domains} and levels {levels}; give questions of two or more of each"
        )
    vectors = TfidfVectorizer(analyzer=_sorted_tokens, min_df=_MIN_QUESTIONS, norm=None)
    values = vectors.fit_transform([row.text for row in rows])
    weights, _ = _fit(rows, values)
    largest = np.abs(weights * vectors.idf_[:, None]).max(axis=1)
    kept = np.sort(np.argsort(-largest, kind="stable")[:num_features])
    weights, bias = _fit(rows, values[:, kept])
    names = vectors.get_feature_names_out()[kept]
    idf = vectors.idf_[kept]
    return Classifier(
        features={str(name): i for i, name in enumerate(names)},
        weights=(weights * idf[:, None]).astype(np.float32),
        bias=bias.astype(np.float32),
        squares=(idf**2).astype(np.float32),
        domains=tuple(domains),
        levels=tuple(levels),
    )


def _sorted_tokens(text: str) -> list[str]:
    return sorted(tokens(text))  # a set's order differs between processes, and with it the sums


_TARGETS = {"domain": _STRENGTH, "level": _LEVEL_STRENGTH}


def _fit(rows: Sequence[Labelled], values: Any) -> tuple[npt.NDArray, npt.NDArray]:
    """Weights (features, classes) and biases of both targets side by side, classes by name."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import normalize

    unit = normalize(values)
    models = []
    for name, strength in _TARGETS.items():
        labels = np.array([getattr(row, name) for row in rows])
        known = labels != ""
        model = LogisticRegression(C=strength, max_iter=500, random_state=0)
        models.append(model.fit(unit[known], labels[known]))
    both = [_per_class(model) for model in models]
    return np.concatenate([w for w, _ in both]).T, np.concatenate([b for _, b in both])


def _per_class(model: Any) -> tuple[npt.NDArray, npt.NDArray]:
    """Weights and biases with a row a class: of two classes the first gets zeros."""
    if len(model.classes_) > 2:
        return model.coef_, model.intercept_
    return np.vstack([np.zeros_like(model.coef_), model.coef_]), np.append(0.0, model.intercept_)


def groups_of_near_copies(texts: Sequence[str], min_jaccard: float = 0.4) -> list[int]:
    """A group number for each text: near-copies share one, whatever their numbers and signs.

    For splits: a question whose template is in the training half tells nothing about new ones.
    """
    found = [fingerprint(_NO_LETTERS.sub(" ", text)).shingles for text in texts]
    group = list(range(len(texts)))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    digests = CMinHash.digests64_from_token_hash_sets([list(s) for s in found], 24, 0)
    first: dict[tuple[int, int], int] = {}
    for i, digest in enumerate(digests):
        for place, value in enumerate(digest):
            earlier = first.setdefault((place, value), i)
            if root(earlier) != root(i) and jaccard(found[earlier], found[i]) >= min_jaccard:
                group[root(i)] = root(earlier)
    return [root(i) for i in range(len(texts))]


def main() -> None:
    """Train on the files given and write the classifier."""
    parser = argparse.ArgumentParser(prog="python -m minireason.curate.classifier")
    parser.add_argument("data", type=Path, nargs="+", help="JSONL: question, subject, level")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--features", type=int, default=NUM_FEATURES)
    args = parser.parse_args()
    questions = [
        question
        for path in args.data
        for question in load_questions(
            str(path), on_bad_row=lambda error: print("left out:", error)
        )
    ]
    classifier = train([labelled(question) for question in questions], args.features)
    save_classifier(classifier, args.out)
    size = args.out.stat().st_size
    print(f"{len(questions)} questions, {len(classifier.features)} features, {size:,} bytes")
