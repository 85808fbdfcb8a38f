"""Passages go before the question and citations come with the answer."""

from dataclasses import replace

import pytest

pytest.importorskip("bm25s")
pytest.importorskip("fastapi")
from minireason.inference.resolve import open_local
from minireason.retrieval import Retriever
from minireason.rollout.request import Completion
from minireason.serve.asked import chat_asked, served_model
from minireason.serve.choice import Choice
from minireason.serve.form import ChatForm
from minireason.serve.schema import ChatBody

CITATION = {"number": 1, "source": "peaks.txt", "line": 1, "text": "Mount Everest is 8849 m high."}


@pytest.fixture
def served(tmp_path):
    (tmp_path / "peaks.txt").write_text(CITATION["text"])
    backend = open_local("tiny", max_batch=1, max_length=1024, threads=1)
    return served_model(backend, retriever=Retriever(tmp_path))


def asked_and_read(served, question: str):
    body = ChatBody(messages=[{"role": "user", "content": question}], max_tokens=9)
    asked = chat_asked(body, served)
    ids = served.chat.ids("It is 8849 m [1].")
    choice = Choice(0, asked, served)
    choice.push_all(Completion(ids, [0.0] * len(ids), "stop", raw_logprobs=[0.0] * len(ids)))
    return served.chat.decode(asked.requests[0].prompt_ids), asked, choice.take()


def test_a_question_is_asked_with_its_passages_and_answered_with_its_citations(served) -> None:
    prompt, asked, piece = asked_and_read(served, "How high is Everest?")
    assert f"[1] peaks.txt, line 1:\n{CITATION['text']}" in prompt
    assert ChatForm().whole(piece, asked)["message"]["citations"] == [CITATION]
    assert ChatForm().delta(piece, asked)["delta"]["citations"] == [CITATION]


def test_a_question_beside_the_texts_is_asked_as_it_is(served) -> None:
    prompt, asked, piece = asked_and_read(served, "What is 2 + 2?")
    assert "numbered sources" not in prompt
    assert "citations" not in ChatForm().whole(piece, asked)["message"]


def test_passages_leave_half_of_the_context_free(served) -> None:
    prompt, asked, _ = asked_and_read(replace(served, max_length=300), "How high is Everest?")
    assert "numbered sources" not in prompt and not asked.passages
