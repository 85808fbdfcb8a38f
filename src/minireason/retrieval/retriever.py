"""The index over a folder's passages (Robertson and Zaragoza, 2009; Lucene's form, by bm25s)."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from minireason.errors import MissingError
from minireason.records import Message
from minireason.retrieval.citations import with_passages
from minireason.retrieval.documents import Passage, read_passages

K1, B = 1.5, 0.75
_WORD = re.compile(r"\w+")
_FORM = "1"  # of the cache: another number, another index


class Retriever:
    """Finds the passages of a folder that fit a question; the texts are read once, at the start.

    `cache` names a folder in which the index is kept under the hash of the passages. Words are
    compared in lower case and, where PyStemmer is installed, by their English stem.
    Raises MissingError where bm25s is not installed, and what `read_passages` does.
    """

    def __init__(self, folder: Path | str, cache: Path | str | None = None) -> None:
        self._too_common = frozenset(bm25s().stopwords.STOPWORDS_EN)
        self._all = read_passages(folder)
        self._stem = _stemmer()
        self._index = self._open(Path(cache).expanduser() if cache else None)

    def __len__(self) -> int:
        return len(self._all)

    def passages(self, query: str, k: int = 4) -> list[Passage]:
        """The `k` best passages, the best one first; each shares a word with the query.

        English words such as `the` do not count. Equal scores keep the order of the files.
        """
        words = [word for word in _words(query) if word not in self._too_common]
        known = [term for term in self._stem(words) if term in self._index.vocab_dict]
        if not known or k < 1:
            return []
        scores = self._index.get_scores(known)
        best = (-scores).argsort(kind="stable")[:k]
        return [
            replace(self._all[place], score=float(scores[place]))
            for place in best
            if scores[place] > 0
        ]

    def grounded(
        self,
        messages: Sequence[Message],
        k: int = 4,
        *,
        num_tokens: Callable[[Sequence[Message]], int] | None = None,
        context: int = 0,
    ) -> tuple[list[Message], list[Passage]]:
        """The conversation with the passages for its last question, and these, for `cited`.

        Where `num_tokens` counts a prompt's tokens, as many of the `k` best as leave half of the
        context free.
        """
        asked = [message["content"] for message in messages if message["role"] == "user"]
        passages = self.passages(asked[-1], k) if asked else []
        while True:
            told = with_passages(messages, passages)
            if not passages or num_tokens is None or num_tokens(told) <= context // 2:
                return told, passages
            passages = passages[:-1]

    def _open(self, cache: Path | None) -> Any:
        kept = cache / f"bm25-{self._identity()}" if cache else None
        if kept and kept.is_dir():
            return bm25s().BM25.load(kept)
        index = bm25s().BM25(k1=K1, b=B, method="lucene")
        terms = [self._stem(_words(passage.text)) for passage in self._all]
        index.index(terms, show_progress=False)
        if kept:
            _save(index, kept)
        return index

    def _identity(self) -> str:
        """Of what the index depends on."""
        digest = hashlib.sha256(f"{_FORM} {K1} {B} {self._stem.__name__}".encode())
        for passage in self._all:
            digest.update(f"\0{passage.text}".encode("utf-8", "replace"))
        return digest.hexdigest()[:16]


def bm25s() -> Any:
    """The module. Raises MissingError where it is not installed."""
    try:
        import bm25s as module
    except ImportError:
        message = "retrieval needs bm25s: pip install 'minireason[retrieve]'"
        raise MissingError(message) from None
    return module


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _save(index: Any, kept: Path) -> None:
    """Whole or not at all, whoever else writes the same."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=kept.parent))
    index.save(folder, show_progress=False)
    try:
        folder.rename(kept)
    except OSError:
        shutil.rmtree(folder)


def _stemmer() -> Callable[[Sequence[str]], list[str]]:
    try:
        import Stemmer
    except ImportError:
        return list

    def english(words: Sequence[str]) -> list[str]:
        stems: list[str] = Stemmer.Stemmer("english").stemWords(words)  # one is not for two threads
        return stems

    return english
