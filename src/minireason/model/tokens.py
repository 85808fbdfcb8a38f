"""How many tokens texts have, by a model's own tokenizer; loads the tokenizer and no weights."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from transformers import AutoTokenizer

from minireason.errors import MissingError
from minireason.model.source import local_folder

# Characters encoded at once: the encodings of a batch take some hundred bytes a token.
_BATCH = 2_000_000

CountTokens = Callable[[Sequence[str]], list[int]]


def token_counter(base: str) -> CountTokens:
    """A function from texts to their numbers of tokens, without special tokens around them."""
    source = str(local_folder(base) or base)
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
    except (OSError, ValueError, TypeError) as error:
        reason = textwrap.shorten(str(error), 400, placeholder=" ...")
        raise MissingError(f"cannot load the tokenizer of {base}: {reason}") from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:  # a tokenizer in plain Python
        return lambda texts: [len(tokenizer.encode(t, add_special_tokens=False)) for t in texts]
    backend.no_truncation()
    backend.no_padding()

    def count(texts: Sequence[str]) -> list[int]:
        encoded = (
            backend.encode_batch_fast(batch, add_special_tokens=False) for batch in _batches(texts)
        )
        return [len(encoding) for encoding in chain.from_iterable(encoded)]

    return count


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
