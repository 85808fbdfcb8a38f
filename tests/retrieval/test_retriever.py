"""Scores beside BM25 written out (Robertson and Zaragoza, 2009, eq. 3.15; Lucene's idf)."""

import math
import random
import re

import pytest

pytest.importorskip("bm25s")
from minireason.retrieval import Retriever, read_passages, retriever


@pytest.fixture
def folder(tmp_path):
    draw = random.Random(3)
    vocabulary = [f"term{i}" for i in range(60)]
    texts = tmp_path / "texts"
    texts.mkdir()
    for name in range(30):
        chosen = draw.choices(vocabulary, range(60, 0, -1), k=draw.randrange(4, 100))
        (texts / f"{name:02}.txt").write_text(" ".join(chosen).capitalize() + ".")
    return texts


@pytest.fixture(autouse=True)
def no_stemmer(monkeypatch):
    monkeypatch.setattr(retriever, "_stemmer", lambda: list)


def slow_bm25(query: str, texts: list[str], k1: float = 1.5, b: float = 0.75) -> list[float]:
    documents = [re.findall(r"\w+", text.lower()) for text in texts]
    mean = sum(map(len, documents)) / len(documents)
    scores = []
    for document in documents:
        score = 0.0
        for term in re.findall(r"\w+", query.lower()):
            containing = sum(term in other for other in documents)
            idf = math.log(1 + (len(documents) - containing + 0.5) / (containing + 0.5))
            frequency = document.count(term)
            norm = k1 * (1 - b + b * len(document) / mean)
            score += idf * frequency / (frequency + norm)
        scores.append(score)
    return scores


@pytest.mark.parametrize("query", ["term3", "Term50 term59", "term1 term1 term7 nowhere", "term58"])
def test_scores_and_order_are_those_of_bm25(folder, query: str) -> None:
    passages = read_passages(folder)
    scores = slow_bm25(query, [passage.text for passage in passages])
    want = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    want = [i for i in want if scores[i] > 0][:5]
    got = Retriever(folder).passages(query, 5)
    assert [one.source for one in got] == [passages[i].source for i in want]
    assert [one.score for one in got] == pytest.approx([scores[i] for i in want], rel=1e-5)


@pytest.mark.parametrize("query", ["", "?!", "nowhere to be found", "the and of"])
def test_a_question_that_shares_no_word_finds_nothing(folder, query: str) -> None:
    (folder / "the.txt").write_text("the cat and the dog of the house")
    assert Retriever(folder).passages(query) == []


def test_equal_passages_keep_the_order_of_the_files(folder) -> None:
    for name in "cab":
        (folder / f"{name}.txt").write_text("a zebra")
    found = Retriever(folder).passages("zebra?", 2)
    assert [one.source for one in found] == ["a.txt", "b.txt"]


def test_a_kept_index_answers_alike_and_new_text_makes_a_new_one(folder, tmp_path) -> None:
    cache = tmp_path / "kept"
    fresh = Retriever(folder, cache).passages("term9", 3)
    assert Retriever(folder, cache).passages("term9", 3) == fresh
    assert [path.name[:5] for path in cache.iterdir()] == ["bm25-"]
    (folder / "new.txt").write_text("term9 term9")
    assert Retriever(folder, cache).passages("term9", 1)[0].source == "new.txt"
    assert len(list(cache.iterdir())) == 2


def test_a_folder_that_nobody_named_is_left_as_it_was(folder) -> None:
    before = sorted(folder.rglob("*"))
    assert len(Retriever(folder)) == len(before)
    assert sorted(folder.rglob("*")) == before


def test_a_conversation_is_grounded_in_passages_for_its_last_question(folder) -> None:
    retriever = Retriever(folder)
    messages = [
        {"role": "user", "content": "term58"},
        {"role": "assistant", "content": "term57"},
        {"role": "user", "content": "term2?"},
    ]
    told, passages = retriever.grounded(messages, 2)
    assert passages == retriever.passages("term2", 2)
    assert told[:2] == messages[:2]
    assert passages[1].text in told[2]["content"] and told[2]["content"].endswith("term2?")
    assert retriever.grounded([], 2) == ([], [])


@pytest.mark.parametrize(("context", "num_left"), [(1000, 2), (90, 1), (40, 0)])
def test_the_best_passages_that_leave_half_of_the_context_free_are_kept(
    context, num_left, folder
) -> None:
    retriever = Retriever(folder)
    messages = [{"role": "user", "content": "term2?"}]
    best = retriever.grounded(messages, 2)[1]
    assert len(best) == 2

    def num_tokens(told):
        return 10 + 30 * sum(passage.text in told[-1]["content"] for passage in best)

    _, left = retriever.grounded(messages, 2, num_tokens=num_tokens, context=context)
    assert left == best[:num_left]
