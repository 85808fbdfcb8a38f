"""When a response ends, and when its thinking must: what is read off the tokens as they come."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minireason.errors import SamplingError
from minireason.marks import THINK_BEGIN, THINK_END
from minireason.rollout.sampling import SamplingParams

if TYPE_CHECKING:
    from minireason.model.chat import Chat

Decode = Callable[[Sequence[int]], str]


@dataclass(frozen=True, slots=True)
class Reader:
    """How a response is read while it is sampled.

    `decode` turns token ids into text, `thinking_end` is the marker that ends the thinking, as
    token ids, and `thinking_begin` the text that begins it, in the prompt or the response (empty:
    every response thinks). Requests that ask for none of this need none.
    """

    decode: Decode | None = None
    thinking_end: tuple[int, ...] = ()
    thinking_begin: str = ""

    @classmethod
    def of(cls, chat: Chat) -> Reader:
        """The reader of a chat's tokenizer and the marks of thinking."""
        return cls(chat.decode, tuple(chat.ids(THINK_END)), THINK_BEGIN)

    def check(self, index: int, params: SamplingParams) -> None:
        """Raise SamplingError where the settings ask for what this reader was not given."""
        if params.stop and self.decode is None:
            raise SamplingError(
                f"request {index} stops at {params.stop[0]!r}, but the sampler has no tokenizer; "
                "give it a Reader with decode, or use stop_ids"
            )
        if params.thinking_budget and not self.thinking_end:
            raise SamplingError(
                f"request {index} has a thinking_budget of {params.thinking_budget}, but the "
                "sampler knows no end of thinking; give it a Reader with thinking_end"
            )

    def has_stopped(self, token_ids: Sequence[int], stop: Sequence[str]) -> bool:
        """Whether the last token completed one of the texts: asked after every token.

        Decodes only as many tokens as reach behind the longest text.
        """
        assert self.decode is not None
        longest, count = max(map(len, stop)) + 3, 8  # 3: half a character may decode to three
        while count < len(token_ids) and len(self.decode(token_ids[-count:-1])) < longest:
            count *= 2
        text = self.decode(token_ids[-count:])
        return any(one in text for one in stop)

    def has_begun_thinking(self, prompt_ids: Sequence[int], token_ids: Sequence[int]) -> bool:
        """Whether a response without an end of thinking is thinking, and not an answer."""
        if not self.thinking_begin or self.decode is None:
            return True
        prompt = self.decode(prompt_ids)
        is_open = prompt.rfind(self.thinking_begin) > prompt.rfind(self.decode(self.thinking_end))
        return is_open or self.decode(token_ids).lstrip().startswith(self.thinking_begin)

    def ends_thinking(self, token_ids: Sequence[int]) -> bool:
        """Whether the last token completed the marker."""
        marker = self.thinking_end
        return tuple(token_ids[-len(marker) :]) == marker

    def next_of_marker(self, token_ids: Sequence[int]) -> int:
        """The token that carries the marker on from where the response has it."""
        marker = self.thinking_end
        for begun in range(min(len(marker) - 1, len(token_ids)), 0, -1):
            if tuple(token_ids[-begun:]) == marker[:begun]:
                return marker[begun]
        return marker[0]
