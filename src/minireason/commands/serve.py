"""The command `minireason serve`; its help waits for no imports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from minireason.errors import MissingError
from minireason.options import Device, Dtype, LocalModel, Retrieve, Threads

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def serve(
    model: LocalModel,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    name: Annotated[str, typer.Option(help="What clients call the model (its folder).")] = "",
    system: Annotated[
        str, typer.Option(help="System message of conversations that have none.")
    ] = "",
    retrieve: Retrieve = None,
    max_batch: Annotated[int, typer.Option(min=1, help="Sequences sampled at a time.")] = 32,
    max_length: Annotated[
        int, typer.Option(min=2, help="Tokens of a prompt and its response.")
    ] = 32768,
    cache_gib: Annotated[
        float, typer.Option(min=0, help="Memory of keys and values (0: what is needed).")
    ] = 0.0,
    queue: Annotated[int, typer.Option(min=0, help="Sequences that may wait; then 429.")] = 256,
    max_body_kib: Annotated[int, typer.Option(min=1, help="Largest request; then 413.")] = 1024,
    api_key_env: Annotated[
        str, typer.Option(help="Environment variable with the key that clients must send.")
    ] = "",
    api_key_file: Annotated[Path | None, typer.Option(help="File with that key.")] = None,
    device: Device = "auto",
    dtype: Dtype = "float32",
    threads: Threads = 0,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds that running answers have at the end.")
    ] = 30.0,
) -> None:
    """Serve a model to OpenAI clients."""
    try:
        from minireason.serve.server import GracefulServer, address, bind, read_key
    except ModuleNotFoundError as error:
        raise MissingError(f"{error.name} is missing; pip install 'minireason[serve]'") from error
    from minireason.inference.resolve import open_local
    from minireason.retrieval import Retriever
    from minireason.serve.api import Limits, build_app
    from minireason.serve.asked import served_model

    key = read_key(api_key_env, api_key_file)
    _warn(host, key)
    retriever = Retriever(retrieve) if retrieve else None
    with bind(host, port) as bound:
        backend = open_local(
            model,
            device=device,
            dtype=dtype,
            max_batch=max_batch,
            max_length=max_length,
            cache_gib=cache_gib,
            threads=threads,
        )
        served = served_model(backend, name, system, retriever)
        app = build_app(served, Limits(queue, max_body_kib << 10), key)
        greeting = f"serving {served.name} at {address(bound)}"
        GracefulServer(app, grace, greeting).run(sockets=[bound])


def _warn(host: str, key: str) -> None:
    if not key and host not in LOOPBACK:
        said = f"no key: whoever reaches {host} can use the model (see --api-key-env)"
        typer.echo(said, err=True)
