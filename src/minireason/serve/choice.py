"""One of the sequences that a client asked for: from tokens to thinking and answer."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from minireason.inference.text import TextStream
from minireason.inference.thinking import Part, ThinkingSplitter, joined
from minireason.marks import THINK_END
from minireason.model.chat import Chat
from minireason.records import FinishReason
from minireason.retrieval import Citation, cited
from minireason.rollout.request import Completion, TokenEvent
from minireason.serve.asked import Asked, Served

WINDOW = 512  # tokens
LONGEST_MARK = 16  # tokens that the end of the thinking takes at most, one a byte and some


class Token(NamedTuple):
    """A sampled token; `logprob` in nats, at temperature 1 where the sampler tells that one."""

    id: int
    text: str
    logprob: float
    offset: int
    """Where its text begins in that of all tokens."""


class Piece(NamedTuple):
    """Some of a choice: what came since the last piece, or all of it."""

    choice: int
    thinking: str
    answer: str
    tokens: list[Token]
    finish_reason: FinishReason | None
    citations: list[Citation]
    """Of the whole answer, once it is done."""


class Choice:
    """Reads the tokens of one sequence.

    `num_tokens` and `num_thinking` are those so far; `num_thinking` is exact at the end.
    """

    def __init__(self, index: int, asked: Asked, served: Served) -> None:
        self.num_tokens = self.num_thinking = 0
        self._index, self._chat = index, served.chat
        self._keeps_tokens = asked.has_logprobs or asked.has_token_ids
        self._stream = TextStream(served.chat.decode, asked.stops)
        self._splitter: ThinkingSplitter | None = None
        if asked.begun is not None:
            self._splitter = ThinkingSplitter(served.starts_thinking)
            self._splitter.push(asked.begun)
        self._passages, self._answer = asked.passages, ""
        self._parts: list[Part] = []
        self._tokens: list[Token] = []
        self._offset = 0
        self._thought = self._answered = False
        self._finish_reason: FinishReason | None = None

    def push(self, events: Sequence[TokenEvent]) -> None:
        """Read the next tokens."""
        for event in events:
            is_raw = not math.isnan(event.raw_logprob)
            self._keep(event.token_id, event.raw_logprob if is_raw else event.logprob)
        self._read(self._stream.push(*(event.token_id for event in events)))
        self.num_tokens += len(events)
        if self._thought and not self._answered:
            self.num_thinking = self.num_tokens
        if (completion := events[-1].completion) is not None:
            self._read(self._stream.finish())
            self._end(completion)

    def push_all(self, completion: Completion) -> None:
        """Read all tokens at once."""
        logprobs = completion.raw_logprobs or completion.logprobs
        for token_id, logprob in zip(completion.token_ids, logprobs, strict=True):
            self._keep(token_id, logprob)
        self._read(self._stream.push(*completion.token_ids) + self._stream.finish())
        self._end(completion)

    def take(self) -> Piece:
        """What was read since the last time."""
        parts, self._parts = self._parts, []
        tokens, self._tokens = self._tokens, []
        thinking, answer = joined(parts)
        self._answer += answer if self._passages else ""
        citations = cited(self._answer, self._passages) if self._finish_reason else []
        return Piece(self._index, thinking, answer, tokens, self._finish_reason, citations)

    def _keep(self, token_id: int, logprob: float) -> None:
        if self._keeps_tokens:
            text = str(self._chat.tokenizer.decode([token_id]))
            self._tokens.append(Token(token_id, text, logprob, self._offset))
            self._offset += len(text)

    def _read(self, text: str) -> None:
        if text:
            self._add(self._splitter.push(text) if self._splitter else [Part("answer", text)])

    def _add(self, parts: Sequence[Part]) -> None:
        kinds = {part.kind for part in parts}
        self._thought = self._thought or "thinking" in kinds
        self._answered = self._answered or "answer" in kinds
        self._parts += parts

    def _end(self, completion: Completion) -> None:
        self._add(self._splitter.finish() if self._splitter else [])
        self._finish_reason = completion.finish_reason
        self.num_tokens = len(completion.token_ids)
        if self._thought:
            self.num_thinking = num_thinking_tokens(self._chat, completion.token_ids)


def num_thinking_tokens(chat: Chat, token_ids: Sequence[int]) -> int:
    """Tokens up to the one that completes the end of the thinking; all where it does not end.

    Decodes each token about once, and only up to there.
    """
    for first in range(0, len(token_ids), WINDOW):
        begin, end = max(0, first - LONGEST_MARK), min(first + WINDOW, len(token_ids))

        def is_ended(count: int, begin: int = begin) -> bool:
            return THINK_END in chat.decode(token_ids[begin:count])

        if is_ended(end):
            return first + 1 + bisect_left(range(first + 1, end + 1), True, key=is_ended)
    return len(token_ids)
