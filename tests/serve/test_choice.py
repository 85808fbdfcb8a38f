"""How many tokens thinking took, counted by decoding as little as can be."""

from random import Random

import pytest

pytest.importorskip("fastapi")
from minireason.model.chat import Chat
from minireason.model.load import load_model
from minireason.serve.choice import LONGEST_MARK, WINDOW, num_thinking_tokens


class Counting(Chat):
    """Counts the tokens it decodes."""

    num_decoded = 0

    def decode(self, ids):
        self.num_decoded += len(ids)
        return super().decode(ids)


@pytest.fixture(scope="module")
def chat():
    return Counting(load_model("tiny").tokenizer)


def slowly(chat, ids):
    found = (count for count in range(1, len(ids) + 1) if "</think>" in chat.decode(ids[:count]))
    return next(found, len(ids))


@pytest.mark.parametrize("num_before", [0, 1, WINDOW - 9, WINDOW - 4, WINDOW - 1, WINDOW, 700])
def test_it_is_the_number_that_decoding_every_beginning_finds(num_before, chat):
    rng = Random(num_before)
    mark = chat.ids("</think>")
    assert 1 < len(mark) <= LONGEST_MARK
    before = [rng.choice(chat.ids("3+4=7 é €\n so <think x")) for _ in range(num_before)]
    ids = [*before, *mark, *chat.ids(" It is 7. </think> again")]
    assert num_thinking_tokens(chat, ids) == slowly(chat, ids) == num_before + len(mark)


def test_thinking_that_does_not_end_takes_all(chat):
    ids = chat.ids("3+4=7 </thin k>" * 60)
    assert num_thinking_tokens(chat, ids) == len(ids)
    assert num_thinking_tokens(chat, []) == 0


@pytest.mark.parametrize("has_end", [False, True])
def test_each_token_is_decoded_about_once(has_end, chat):
    ids = chat.ids("3+4=7 ") * 4000 + chat.ids("</think>") * has_end
    chat.num_decoded = 0
    num_thinking_tokens(chat, ids)
    assert chat.num_decoded < 1.1 * len(ids) + 20 * WINDOW
