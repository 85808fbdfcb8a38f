import pytest
from transformers import AutoTokenizer

from minireason.errors import MissingError
from minireason.model import tokens
from minireason.model.source import TINY_FOLDER
from minireason.model.tokens import token_counter

TEXTS = ["", "12 + 30 = 42", "x" * 5_000, "因此 答案", "lone \ud800 surrogate", "<|end|> inside"]


def test_counts_are_those_of_the_tokenizer_whatever_the_batches(monkeypatch):
    tokenizer = AutoTokenizer.from_pretrained(TINY_FOLDER)
    clean = [text.replace("\ud800", "?") for text in TEXTS]
    expected = [len(tokenizer.encode(t, add_special_tokens=False)) for t in clean]
    assert token_counter("tiny")(TEXTS) == expected
    monkeypatch.setattr(tokens, "_BATCH", 10)
    assert token_counter(str(TINY_FOLDER))(TEXTS) == expected


def test_a_folder_without_a_tokenizer_is_said(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(MissingError, match="cannot load the tokenizer"):
        token_counter(str(tmp_path))
