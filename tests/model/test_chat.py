"""From messages to token ids and back, through the model's own chat template."""

from __future__ import annotations

import copy

import pytest
from transformers import PreTrainedTokenizerFast

from minireason.errors import MissingError
from minireason.model.chat import Chat

USER = [{"role": "user", "content": "What is 2 + 2?"}]


def with_template(
    tokenizer: PreTrainedTokenizerFast, template: str | None
) -> PreTrainedTokenizerFast:
    changed = copy.deepcopy(tokenizer)
    changed.chat_template = template
    return changed


def test_a_prompt_ends_where_the_assistant_begins(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = Chat(tokenizer).prompt_ids(USER)
    assert tokenizer.decode(ids) == "<|user|>What is 2 + 2?<|end|><|assistant|>"


def test_a_response_ends_with_the_token_that_ends_the_turn(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    ids = Chat(tokenizer).response_ids("It is 4.")
    assert tokenizer.decode(ids) == "It is 4.<|end|>"


def test_prompt_and_response_make_the_template_s_conversation(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    chat = Chat(tokenizer)
    ids = chat.prompt_ids(USER) + chat.response_ids("4")
    whole = tokenizer.apply_chat_template(
        [*USER, {"role": "assistant", "content": "4"}], tokenize=False
    )
    assert tokenizer.decode(ids) + "<|endoftext|>" == whole


def test_a_decoded_response_is_its_text(tokenizer: PreTrainedTokenizerFast) -> None:
    chat = Chat(tokenizer)
    assert chat.decode(chat.response_ids("So x² = 4, x = ±2.")) == "So x² = 4, x = ±2."


def test_sampling_stops_at_the_end_of_the_turn_and_of_the_text(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    expected = tokenizer.convert_tokens_to_ids(["<|end|>", "<|endoftext|>"])
    assert Chat(tokenizer).stop_ids == set(expected)


def test_text_before_the_end_token_is_learnt_and_does_not_stop_sampling(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    template = "{% for m in messages %}{{ m['content'] + ' .<|end|>' }}{% endfor %}"
    chat = Chat(with_template(tokenizer, template))
    assert tokenizer.decode(chat.end_ids) == " .<|end|>"
    assert chat.stop_ids == set(tokenizer.convert_tokens_to_ids(["<|end|>", "<|endoftext|>"]))


def test_a_tokenizer_without_a_template_is_an_error(tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(MissingError, match="no chat template"):
        Chat(with_template(tokenizer, None))


def test_a_template_that_never_ends_a_turn_is_an_error(tokenizer: PreTrainedTokenizerFast) -> None:
    template = "{% for m in messages %}{{ '<|user|>' + m['content'] }}{% endfor %}"
    with pytest.raises(MissingError, match="does not end an assistant turn"):
        Chat(with_template(tokenizer, template))
