"""A small chat server on this machine that answers as a test wants, well or badly."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class ChatServer:
    """Answers every request through `answer(request, number of tries of this very request)`.

    `answer` gives (status, body, headers), the body as bytes or as what becomes JSON. A
    Content-Length among the headers that is not the body's ends the connection after the body.
    Keeps the requests, their headers, and the most that were there at once.
    """

    def __init__(self, answer):
        self.requests, self.headers, self.most_at_once = [], [], 0
        self.tries = Counter()
        at_once, lock, server = 0, threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version, wbufsize = "HTTP/1.1", -1  # one packet a reply

            def do_POST(self):
                nonlocal at_once
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    at_once += 1
                    server.most_at_once = max(server.most_at_once, at_once)
                    server.requests.append((self.path, body))
                    server.headers.append(dict(self.headers))
                    key = (body["messages"][-1]["content"], body.get("seed"))
                    server.tries[key] += 1
                    attempt = server.tries[key]
                status, reply, headers = answer(body, attempt)
                with lock:
                    at_once -= 1
                self.reply(status, reply, dict(headers))

            def reply(self, status, reply, headers):
                data = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
                length = headers.setdefault("Content-Length", str(len(data)))
                self.close_connection = length != str(len(data))
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(data)
                except ConnectionError:
                    self.close_connection = True

            def log_message(self, *args):
                pass

        self.http = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


def completion(text, finish_reason="stop", num_tokens=5, **message):
    """A good answer."""
    choice = {"message": {"content": text, **message}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 3, "completion_tokens": num_tokens}
    return 200, {"choices": [choice], "usage": usage}, {}


def echo(request, attempt):
    """A good answer that holds the question and the seed."""
    return completion(f"{request['messages'][-1]['content']} seed {request.get('seed')}")
