"""Work for a CUDA device, captured as a graph that does it again without the host.

Written by the documentation of torch.cuda.graph in torch 2.13; it has not been run on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

Replay = Callable[[], Any]
Capture = Callable[[Callable[[], Any]], Replay]
"""Takes work for the device, and gives what does that work again, without running Python."""

WARMUP = 2  # runs before a capture: libraries and kernels that choose a method do so there


def cuda_capture(device: torch.device) -> Capture:
    """CUDA graphs that share the memory of what they compute on the way.

    They may, as long as they run one after the other and nothing but what lay there before they
    were captured is read afterwards.
    """
    pool, stream = torch.cuda.graph_pool_handle(), torch.cuda.Stream(device)

    def capture(work: Callable[[], Any]) -> Replay:
        graph = torch.cuda.CUDAGraph()
        here = torch.cuda.current_stream(device)
        stream.wait_stream(here)
        with torch.cuda.stream(stream):
            for _ in range(WARMUP):
                work()
        here.wait_stream(stream)
        # A capture that fails leaves its stream behind as the current one; and threads beside this
        # one, of a server say, may go on using the device.
        mode = "thread_local"
        with (
            torch.cuda.stream(here),
            torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode=mode),
        ):
            work()
        return graph.replay

    return capture
