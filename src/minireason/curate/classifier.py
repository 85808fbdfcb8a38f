"""Domain and level of a question from its words: a linear model that the package carries.

`classifier.npz` holds one weight a feature and class, learned from the labels of MATH and GSM8K
(both MIT) by `classifier_training`; here is only what predicts, with numpy. Rebuild it with

    python -m minireason.curate.classifier DATA.jsonl ... --out classifier.npz

where DATA has `question`, `subject` and `level` (needs scikit-learn, extra `curate-train`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from minireason.curate.shingles import without_options
from minireason.errors import DataError

# A word or command, a number, or one of the signs that tell subjects apart. Not `$` or a backslash,
# by which the sources are told apart rather than the subjects.
_TOKEN = re.compile(r"[a-z]+|#?\d|[-+*/=<>^|!%]")
_LONG_NUMBER = re.compile(r"\d\d+")
_MAX_TOKENS = 400  # of one question: a picture's code says nothing after that


@dataclass(frozen=True, slots=True)
class Prediction:
    """The likeliest class, empty where the text has no known word, and its probability."""

    label: str
    probability: float


@dataclass(frozen=True)
class Classifier:
    """Weights (features, classes of domain and level together), a bias, and feature squares."""

    features: dict[str, int]
    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    squares: npt.NDArray[np.float32]
    domains: tuple[str, ...]
    levels: tuple[str, ...]

    def predict(self, texts: Sequence[str]) -> list[tuple[Prediction, Prediction]]:
        """(domain, level) of each text."""
        if not texts:
            return []
        known = self.features.keys()
        found = [sorted(self.features[name] for name in known & tokens(text)) for text in texts]
        sizes = np.array([len(indices) for indices in found])
        scores = self._scores(np.array([i for row in found for i in row], dtype=np.int64), sizes)
        domains = _likeliest(scores[:, : len(self.domains)], self.domains, sizes)
        levels = _likeliest(scores[:, len(self.domains) :], self.levels, sizes)
        return list(zip(domains, levels, strict=True))

    def _scores(self, indices: npt.NDArray, sizes: npt.NDArray) -> npt.NDArray:
        """Sums of weights over each text's features, scaled to unit length. (texts, classes)"""
        has_any = sizes > 0
        starts = (np.cumsum(sizes) - sizes)[has_any]
        scores = np.tile(self.bias, (len(sizes), 1))
        if len(starts):
            squares = np.add.reduceat(self.squares[indices], starts)
            sums = np.add.reduceat(self.weights[indices], starts, axis=0)
            scores[has_any] += sums / np.sqrt(squares)[:, None]
        return scores


def tokens(text: str) -> set[str]:
    """The features of a text: words, signs, sizes of numbers, and neighbouring pairs of them."""
    bare, _ = without_options(text, "")
    found = _TOKEN.findall(_LONG_NUMBER.sub(_size, bare.lower()))[:_MAX_TOKENS]
    return {*found, *map(" ".join, pairwise(found))}


def _size(number: re.Match[str]) -> str:
    return f" #{min(len(number[0]), 4)} "


def load_classifier(path: Path) -> Classifier:
    """The classifier of a file that `save_classifier` wrote; DataError if it is none."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            features = bytes(stored["features"]).decode().split("\n")
            domains, levels = (str(stored[name]).split() for name in ("domains", "levels"))
            return Classifier(
                features={name: i for i, name in enumerate(features)},
                weights=stored["weights"].astype(np.float32),
                bias=stored["bias"].astype(np.float32),
                squares=stored["squares"].astype(np.float32),
                domains=tuple(domains),
                levels=tuple(levels),
            )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{path} is no classifier: {error}; write one with "
            f"`python -m minireason.curate.classifier DATA.jsonl --out {path}`"
        ) from error


def save_classifier(classifier: Classifier, path: Path) -> None:
    """Write a classifier as a compressed npz, weights as float16."""
    names = "\n".join(sorted(classifier.features, key=lambda name: classifier.features[name]))
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            features=np.frombuffer(names.encode(), dtype=np.uint8),
            weights=classifier.weights.astype(np.float16),
            bias=classifier.bias,
            squares=classifier.squares.astype(np.float16),
            domains=np.array(" ".join(classifier.domains)),
            levels=np.array(" ".join(classifier.levels)),
        )


@cache
def carried_classifier() -> Classifier:
    """The classifier in the package, read once."""
    with as_file(files("minireason.curate") / "classifier.npz") as path:
        return load_classifier(path)


def _likeliest(scores: npt.NDArray, labels: Iterable[str], sizes: npt.NDArray) -> list[Prediction]:
    """The most probable label of each row of scores, probabilities by softmax."""
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    names = tuple(labels)
    best = probabilities.argmax(axis=1)
    return [
        Prediction(names[b], float(row[b])) if size else Prediction("", 0.0)
        for row, b, size in zip(probabilities, best, sizes, strict=True)
    ]


if __name__ == "__main__":
    from minireason.curate.classifier_training import main

    main()
