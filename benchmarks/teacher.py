"""How many samples a second pass through the teacher of a server that answers fast.

    python benchmarks/teacher.py --concurrency 64 400

The server is a process of its own on this machine; it answers after 50 to 200 ms with a
text of given length. What a sample costs the client is what is measured: requests, retries and
reading, the journal, and the shards.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import tempfile
import time
from multiprocessing.queues import Queue
from pathlib import Path

from minireason.endpoint.server import Endpoint
from minireason.records import Question
from minireason.rollout.generate import generate_rollouts
from minireason.rollout.openai import OpenAITeacher
from minireason.rollout.sampling import SamplingParams

FASTEST_S, SLOWEST_S = 0.05, 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--concurrency", type=int, nargs="+", default=[64, 400])
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--length", type=int, default=2000, help="characters of a response")
    arguments = parser.parse_args()
    ports: Queue[int] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(ports, arguments.length), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ports.get()}/v1"
    for concurrency in arguments.concurrency:
        seconds, busy_s = sample(Endpoint(url, "m", concurrency=concurrency), arguments.samples)
        print(
            f"{concurrency:>4} at once: {arguments.samples / seconds:6.0f} samples/s, "
            f"{1000 * busy_s / arguments.samples:.2f} ms of processor a sample"
        )
    server.terminate()


def sample(endpoint: Endpoint, num_samples: int) -> tuple[float, float]:
    """Seconds passed, and seconds of processor in this process."""
    questions = [Question(f"q{n}", f"{n}?", str(n), "test") for n in range(num_samples // 4)]
    with tempfile.TemporaryDirectory() as folder:
        began, busy = time.perf_counter(), time.process_time()
        generate_rollouts(
            OpenAITeacher(endpoint), questions, 4, SamplingParams(), Path(folder), shard_size=100
        )
        return time.perf_counter() - began, time.process_time() - busy


def serve(ports: Queue[int], length: int) -> None:
    choice = {"message": {"content": "x" * length}, "finish_reason": "stop"}
    body = json.dumps({"choices": [choice], "usage": {"completion_tokens": 100}}).encode()
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rng = random.Random(0)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = head.lower().split(b"content-length:")[1].split(b"\r\n")[0]
                await reader.readexactly(int(length))
                await asyncio.sleep(rng.uniform(FASTEST_S, SLOWEST_S))
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def listen() -> None:
        listening = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
        ports.put(listening.sockets[0].getsockname()[1])
        await listening.serve_forever()

    asyncio.run(listen())


if __name__ == "__main__":
    main()
