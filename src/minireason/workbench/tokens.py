"""From records to what training reads: token ids, and how they are laid out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from minireason.model.chat import Chat
from minireason.recipe import Training
from minireason.records import Message
from minireason.step import StepContext
from minireason.train.data import Layout, within_length
from minireason.train.packing import TokenSequence
from minireason.train.store import TokenStore
from minireason.train.tokenize import Encode, write_store

T = TypeVar("T")

TOKENS = "tokens"


def conversation(chat: Chat, messages: Sequence[Message]) -> TokenSequence:
    """Tokens of a conversation whose last message, the response, is the target."""
    return next(conversations(chat, [messages]))


def conversations(chat: Chat, several: Sequence[Sequence[Message]]) -> Iterator[TokenSequence]:
    """`conversation` of each, tokenised together."""
    for prompt, response in chat.conversations(several):
        yield TokenSequence(np.array([*prompt, *response], dtype=np.int32), len(response))


def stored_tokens(
    step: StepContext, source: Path, record: type[T], encode: Encode[T]
) -> TokenStore:
    """The tokens of a source's records, in the step's `tokens` until it ends."""
    with step.progress.track(f"{step.folder.name}: tokens") as advance:
        return write_store(step.folder / TOKENS, source, record, encode, step.world, advance)


def fitting(tokens: TokenStore, settings: Training) -> TokenStore:
    """The units that a row can hold; all of them where rows are cut from what is end to end."""
    if settings.packing == "split":
        return tokens
    kept, _ = within_length(tokens, tokens.names, settings.seq_length, settings.overlong)
    return tokens.take(kept)


def layout(settings: Training) -> Layout:
    return Layout(
        seq_length=settings.seq_length,
        batch_size=settings.batch_size,
        micro_batch_size=settings.micro_batch_size,
        packing=settings.packing,
        epochs=settings.epochs,
        max_steps=settings.max_steps,
    )
