"""How many tokens texts have, by a model's own tokenizer; loads the tokenizer and no weights.

A local tokenizer.json is read without transformers, which takes seconds and much memory to import.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from minireason.errors import MissingError
from minireason.model.source import local_folder

# Characters encoded at once: the encodings of a batch take some hundred bytes a token.
_BATCH = 2_000_000

CountTokens = Callable[[Sequence[str]], list[int]]


def token_counter(base: str) -> CountTokens:
    """A function from texts to their numbers of tokens, without special tokens around them."""
    tokenizer = _fast_tokenizer(base)
    if tokenizer is None:
        return _slow_counter(base)
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(texts: Sequence[str]) -> list[int]:
        encoded = (
            tokenizer.encode_batch_fast(batch, add_special_tokens=False)
            for batch in _batches(texts)
        )
        return [len(encoding) for encoding in chain.from_iterable(encoded)]

    return count


def _fast_tokenizer(base: str) -> Any:
    """The tokenizer of a local tokenizer.json; None where there is none."""
    from tokenizers import Tokenizer

    folder = local_folder(base)
    path = folder / "tokenizer.json" if folder else None
    if path is None or not path.is_file():
        return None
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no narrower class
        raise MissingError(f"cannot read {path}: {error}; copy or download it again") from error


def _slow_counter(base: str) -> CountTokens:
    """For hub ids, and for tokenizers that have no tokenizer.json."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(local_folder(base) or base))
    except (OSError, ValueError, TypeError) as error:
        reason = textwrap.shorten(str(error), 400, placeholder=" ...")
        raise MissingError(f"cannot load the tokenizer of {base}: {reason}") from error
    return lambda texts: [
        len(tokenizer.encode(_encodable(text), add_special_tokens=False, verbose=False))
        for text in texts
    ]


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        if batch and size + len(text) > _BATCH:
            yield batch
            batch, size = [], 0
        batch.append(_encodable(text))
        size += len(text)
    if batch:
        yield batch


def _encodable(text: str) -> str:
    """The text with lone surrogates, which a damaged file may hold, replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
