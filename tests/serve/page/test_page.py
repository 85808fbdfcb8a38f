"""The routes, without a browser."""

import asyncio
import json
import threading

import httpx
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("latex2mathml")
from fastapi import FastAPI
from fastapi.testclient import TestClient

from minireason.serve import page
from minireason.serve.page import MAX_BODY, MAX_LENGTH, mount_page


@pytest.fixture(scope="module")
def client():
    app = FastAPI()
    mount_page(app)
    return TestClient(app)


FILES = ["/", "/page/app.js", "/page/style.css", "/page/icon.svg"]


@pytest.mark.parametrize("path", FILES)
def test_files_come_with_a_strict_policy(client, path: str) -> None:
    answer = client.get(path)
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200
    assert policy.startswith("default-src 'self'; ")
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/page/../nodes.py", "/page/%2e%2e/nodes.py", "/page/none.js"])
def test_nothing_beside_the_page_is_served(client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_the_page_holds_no_inline_code_and_fetches_nothing_from_elsewhere(client) -> None:
    page = client.get("/").text
    assert "style=" not in page
    assert "<style" not in page
    assert not any(f" on{event}=" in page for event in ("click", "load", "error", "input"))
    assert page.count("<script") == page.count("<script src=") + page.count('"module" src=')
    for name in ("app.js", "api.js", "answer.js", "typeset.js", "style.css", "answer.css"):
        text = client.get(f"/page/{name}").text.replace("http://www.w3.org/", "")
        assert "http" + "://" not in text
        assert "https" + "://" not in text
        assert "innerHTML" not in text


def test_few_texts_are_converted_at_the_same_time_and_few_wait(monkeypatch) -> None:
    at_work, most, done = 0, 0, threading.Event()
    lock = threading.Lock()

    def slow(text):
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        done.wait(20)
        with lock:
            at_work -= 1
        return []

    monkeypatch.setattr(page, "blocks", slow)
    app = FastAPI()
    mount_page(app)

    async def ask_many() -> list[int]:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as asker:
            num_allowed = page.MOST_AT_WORK + page.MOST_WAITING
            asked = [
                asyncio.create_task(asker.post("/render", json={"text": "a"}))
                for _ in range(num_allowed + 5)
            ]
            refused, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            while len(refused) < 5:
                refused, _ = await asyncio.wait(asked, timeout=0.01)
            told = {task.result().text for task in refused}
            assert all("ask again later" in text for text in told), told
            while at_work < page.MOST_AT_WORK:
                await asyncio.sleep(0.01)
            done.set()
            return [answer.status_code for answer in await asyncio.gather(*asked)]

    codes = asyncio.run(ask_many())
    assert most == page.MOST_AT_WORK
    assert sorted(codes) == [200] * (page.MOST_AT_WORK + page.MOST_WAITING) + [503] * 5


def test_a_text_is_rendered_in_blocks(client) -> None:
    answer = client.post("/render", json={"text": "Is $x$ <b>?\n\n- yes"}).json()
    formula = ["math", {"display": "inline"}, [["mrow", {}, [["mi", {}, ["x"]]]]]]
    assert answer["blocks"] == [
        {"source": "Is $x$ <b>?\n\n", "node": ["p", {}, ["Is ", formula, " <b>?"]]},
        {"source": "- yes", "node": ["ul", {}, [["li", {}, ["yes"]]]]},
    ]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "is not JSON"),
        (b"\xff\xfe", 400, "is not JSON"),
        (b"[" * 100_000, 400, "is not JSON"),
        (b"[]", 400, "a text is needed"),
        (b'{"text": 3}', 400, "not int"),
        (json.dumps({"text": "x" * (MAX_LENGTH + 1)}).encode(), 413, "200,001 characters, at most"),
        (b"x" * (MAX_BODY + 1), 413, "the body is too long: at most"),
    ],
    ids=range(7),
)
def test_a_bad_request_is_told_so(client, body: bytes, status: int, message: str) -> None:
    answer = client.post("/render", content=body)
    assert answer.status_code == status
    assert message in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "text", ["\ud800", "\x00\x0b\x1c", "$\ud83d$", "\\unicode{110000}", "$\x00$"]
)
def test_odd_characters_are_no_error(client, text: str) -> None:
    answer = client.post("/render", content=json.dumps({"text": text}))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("one", "other", "verdict", "answers"),
    [
        (r"so \boxed{\frac{1}{2}}", r"is \boxed{0.5}", "same", [r"\frac{1}{2}", "0.5"]),
        (r"\boxed{2}", r"The answer is 3.", "different", ["2", "3"]),
        (r"\boxed{2}", r"so it is \boxed{2", "unknown", ["2", ""]),
    ],
)
def test_final_answers_are_compared(client, one, other, verdict, answers) -> None:
    answer = client.post("/agree", json={"texts": [one, other]}).json()
    assert (answer["verdict"], answer["answers"]) == (verdict, answers)


@pytest.mark.parametrize("body", [[], {"texts": ["a"]}, {"texts": "ab"}, {"texts": ["a", 1]}])
def test_two_texts_are_needed(client, body) -> None:
    assert client.post("/agree", json=body).status_code == 400
