import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from chat_server import completion

from minireason.endpoint import streaming
from minireason.endpoint.server import Endpoint
from minireason.endpoint.streaming import Delta, stream_chat
from minireason.errors import SamplingError

BODY = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
SSE = {"Content-Type": "text/event-stream"}


def event(delta=None, finish_reason=None, **more):
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish_reason}]
    return f"data: {json.dumps({'choices': choices, **more}, ensure_ascii=False)}\n\n".encode()


def asked(serve, body, status=200, headers=SSE):
    server = serve(lambda request, attempt: (status, body, headers))
    return list(stream_chat(Endpoint(server.url, "m"), BODY)), server


def test_deltas_come_as_they_were_sent(serve):
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}\n\n'
    body = (
        b": a comment\n\n"
        + event({"role": "assistant", "content": ""})
        + event({"reasoning_content": "hm"})
        + event({"content": "a\u2028b\u0085"})
        + event(finish_reason="length")
        + usage
        + b"data: [DONE]\n\n"
    )
    deltas, server = asked(serve, body)
    assert deltas[1:4] == [
        Delta(thinking="hm"),
        Delta("a\u2028b\u0085"),
        Delta(finish_reason="length"),
    ]
    assert deltas[4].usage.completion_tokens == 2
    [(path, request)] = server.requests
    assert path == "/v1/chat/completions"
    assert request["stream"] is True
    assert request["stream_options"] == {"include_usage": True}


def test_a_stream_without_end_is_left(serve, monkeypatch):
    monkeypatch.setattr(streaming, "LARGEST_STREAM", 3 << 20)
    with pytest.raises(SamplingError, match="a response of more than 3 MiB"):
        asked(serve, event({"content": "a" * 1000}) * 4000)


@pytest.mark.parametrize("status", [200, 500])
def test_a_reply_without_end_is_left(status, serve, monkeypatch):
    monkeypatch.setattr(streaming, "LARGEST_REPLY", 1 << 20)
    read = []
    begin_of = streaming._begin_of
    monkeypatch.setattr(
        streaming, "_begin_of", lambda *given: read.append(begin_of(*given)) or read[-1]
    )
    with pytest.raises(SamplingError, match="more than 1 MiB" if status == 200 else "status 500"):
        asked(serve, b" " * (8 << 20), status, {"Content-Type": "application/json"})
    assert len(read[0]) < 2 << 20


def test_a_server_that_does_not_stream_is_read_whole(serve):
    status, body, _ = completion("seven", num_tokens=4, reasoning="3+4")
    [delta], _ = asked(serve, body, status, {"Content-Type": "application/json"})
    assert (delta.content, delta.thinking, delta.finish_reason) == ("seven", "3+4", "stop")


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b'{"error": "no such model"}', "status 404: .*no such model.*URL ends before"),
        (401, b"who are you?", "the key is read from OPENAI_API_KEY, which is not set"),
        (500, b"a\ntrace", "status 500: a trace$"),
        (200, event({"content": "half"}), "broke off"),
        (200, b"data: nonsense\n\n", "no event but nonsense"),
        (200, b'data: {"error": {"message": "out of memory"}}\n\n', "failed: .*out of memory"),
        (200, event({"content": 5}), "failed"),
        (200, b"data: []\n\n", "no event"),
        (200, event(finish_reason="content_filter"), "ended the response by 'content_filter'"),
    ],
)
def test_what_is_no_response_is_said_on_one_line(serve, status, body, said):
    with pytest.raises(SamplingError, match=said) as caught:
        asked(serve, body, status)
    assert "\n" not in str(caught.value)


def test_nobody_listening_and_a_key_echoed(serve, monkeypatch):
    with pytest.raises(SamplingError, match="did not answer"):
        list(stream_chat(Endpoint("http://127.0.0.1:9/v1", "m"), BODY))
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key-123")
    with pytest.raises(SamplingError) as caught:
        asked(serve, b"bad key secret-key-123", 401)
    assert "secret-key-123" not in str(caught.value)
    assert "which is set" in str(caught.value)


def test_the_first_piece_comes_before_the_last_is_written_and_closing_ends_the_request():
    may_go_on, is_broken = threading.Event(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self.wfile.write(event({"content": "first"}))
            may_go_on.wait(20)
            try:
                for _ in range(10_000):
                    self.wfile.write(event({"content": "more" * 100}))
            except ConnectionError:
                is_broken.set()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    deltas = stream_chat(Endpoint(f"http://127.0.0.1:{server.server_port}/v1", "m"), BODY)
    assert next(deltas).content == "first"
    deltas.close()
    may_go_on.set()
    assert is_broken.wait(20)
    server.shutdown()
    server.server_close()
