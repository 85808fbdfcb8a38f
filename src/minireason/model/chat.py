"""Between messages and token ids, through the model's own chat template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from minireason.errors import MissingError
from minireason.records import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Chat:
    """Encodes prompts and responses for one tokenizer.

    A response is the text and the token that ends the assistant's turn: what the model is trained
    to write and what stops its sampling are the same tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not tokenizer.chat_template:
            raise MissingError("the tokenizer has no chat template; add one to the model folder")
        self.tokenizer = tokenizer
        self.end_ids = self._turn_end()
        self.stop_ids = frozenset({self.end_ids[-1], tokenizer.eos_token_id} - {None})

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Token ids up to where the assistant's response begins."""
        return self.ids(self._render(messages, add_generation_prompt=True))

    def response_ids(self, response: str) -> list[int]:
        """Token ids of a response with the end of the turn."""
        return self.ids(response) + self.end_ids

    def conversations(
        self, conversations: Sequence[Sequence[Message]]
    ) -> Iterator[tuple[list[int], list[int]]]:
        """`prompt_ids` and `response_ids` of each, the last message being the response.

        Tokenised together, which a fast tokenizer does on all cores.
        """
        prompts = [self._render(m[:-1], add_generation_prompt=True) for m in conversations]
        texts = [*prompts, *(messages[-1]["content"] for messages in conversations)]
        if not texts:
            return
        encoded = self.tokenizer(
            texts,
            add_special_tokens=False,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,
        )["input_ids"]
        half = len(prompts)
        for prompt, response in zip(encoded[:half], encoded[half:], strict=True):
            yield prompt, response + self.end_ids

    def decode(self, ids: Sequence[int]) -> str:
        """The text of sampled ids, special tokens left out."""
        text = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        assert isinstance(text, str)
        return text

    def ids(self, text: str) -> list[int]:
        """Token ids of a text by itself."""
        return list(self.tokenizer.encode(text, add_special_tokens=False, verbose=False))

    def _render(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        text = self.tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=add_generation_prompt
        )
        assert isinstance(text, str)
        return text

    def _turn_end(self) -> list[int]:
        """The ids the template puts after an assistant message, up to the first special token."""
        marker = "\u241f"
        text = self._render(
            [{"role": "user", "content": "?"}, {"role": "assistant", "content": marker}],
            add_generation_prompt=False,
        )
        special = set(self.tokenizer.all_special_ids) | {
            token_id
            for token_id, token in self.tokenizer.added_tokens_decoder.items()
            if token.special
        }
        ids = self.ids(text.rpartition(marker)[2])
        ends = [i for i, token_id in enumerate(ids) if token_id in special]
        if not ends:
            raise MissingError("the chat template does not end an assistant turn with a token")
        return ids[: ends[0] + 1]
