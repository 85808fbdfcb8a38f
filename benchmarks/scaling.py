"""What training at the paper's size takes, from the operations it needs: the tables of
docs/scaling.md.

    python benchmarks/scaling.py

Nothing here is measured: the operations are counted (minireason.model.flops), the peaks and
bandwidths are the makers', and the share of the peak that is reached (MFU) is an assumption.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from transformers import Phi3Config, Phi3ForCausalLM

from minireason.model.devices import named_peak
from minireason.model.flops import FlopCost, flop_cost

PHI_4_MINI = Phi3Config(  # arXiv 2503.01743, table 1, and the published config.json
    vocab_size=200_064,
    hidden_size=3072,
    intermediate_size=8192,
    num_hidden_layers=32,
    num_attention_heads=24,
    num_key_value_heads=8,
    tie_word_embeddings=True,
)
TOKENS = 150e9
PAPER_GPUS, PAPER_DAYS = 128, 2
ROW = 16_384
H100 = named_peak("NVIDIA H100 80GB HBM3") or 0.0
MFUS = (0.25, 0.40, 0.50)
GPUS_PER_MACHINE = 8
NVLINK = 450e9  # bytes/s one way between GPUs of a machine: NVLink 4, 900 GB/s both ways
INFINIBAND = 50e9  # bytes/s one way and GPU: NDR, 400 Gb/s
MEMORY_BANDWIDTH = 3.35e12  # bytes/s, H100 SXM
DAY = 86_400.0


def main() -> None:
    for title, table in tables():
        print(f"{title}\n\n{table}\n")


def tables() -> Iterator[tuple[str, str]]:
    """Each table with what it shows."""
    with torch.device("meta"):
        cost = flop_cost(Phi3ForCausalLM(PHI_4_MINI))
    yield "Operations", operations(cost)
    yield "The paper's run", paper(cost)
    yield "Time", days(cost)
    yield "Memory", memory(cost)
    yield "Communication", communication(cost)
    yield "Sampling", sampling(cost)


def operations(cost: FlopCost) -> str:
    rows = []
    for length in (2048, 4096, ROW):
        matrices, head = 6 * cost.weights, 6 * cost.head
        total = cost.training_per_token(length)
        attention = total - matrices - head
        rows.append(
            [f"{length:,}", *(f"{n / 1e9:.2f}" for n in (matrices, head, attention, total))]
        )
    return markdown(["sequence", "layers", "head", "attention", "GFLOP a token"], rows)


def paper(cost: FlopCost) -> str:
    """The share of the peak that 150B tokens in two days on 128 H100 come to."""
    available = PAPER_GPUS * H100 * PAPER_DAYS * DAY
    rows = []
    for length in (2048, 4096, ROW):
        needed = TOKENS * cost.training_per_token(length)
        rate = TOKENS / (PAPER_DAYS * DAY * PAPER_GPUS)
        rows.append(
            [f"{length:,}", f"{needed:.2e}", f"{100 * needed / available:.1f} %", f"{rate:,.0f}"]
        )
    return markdown(["sequence", "FLOP in all", "implied MFU", "tokens/s a GPU"], rows)


def days(cost: FlopCost) -> str:
    per_token = cost.training_per_token(ROW)
    rows = []
    for name, num_gpus in (("1 H200", 1), ("8 H100", 8), ("32 H100", 32), ("128 H100", 128)):
        cells = []
        for mfu in MFUS:
            rate = mfu * H100 * num_gpus / per_token
            cells.append(f"{TOKENS / rate / DAY:,.1f} days ({rate:,.0f} tokens/s)")
        rows.append([name, *cells])
    return markdown(["GPUs", *(f"MFU {100 * mfu:.0f} %" for mfu in MFUS)], rows)


def memory(cost: FlopCost) -> str:
    """Bytes a GPU in float32 AdamW, by how many GPUs share a copy of the weights."""
    config, size = PHI_4_MINI, cost.weights + cost.head
    width, inner = config.hidden_size, config.intermediate_size
    key_width = width // config.num_attention_heads * config.num_key_value_heads
    inputs = config.num_hidden_layers * ROW * width * 2
    # bfloat16: norms, queries, keys and values before and after rotation, attention, its product,
    # both halves of the gate, the activated gate and their product
    layer = ROW * 2 * (4 * width + 2 * (width + 2 * key_width) + 2 * width + 4 * inner)
    gathered = 2 * (2 * cost.weights / config.num_hidden_layers) + 2 * cost.head
    rows = []
    for name, shards in (("1", 1), ("8 (hybrid, or one machine)", 8), ("32", 32), ("128", 128)):
        state = 16 * size / shards
        whole = gathered if shards > 1 else 2 * size
        head = 4 * cost.head if shards > 1 else 0  # its float32 gradient before it is summed
        cells = [state, whole, head, inputs, 2 * layer]
        cells.append(sum(cells))
        rows.append([name, *(f"{n / 1e9:.1f}" for n in cells)])
    heading = ["GPUs a copy", "weights, gradients, AdamW", "bfloat16 weights in use"]
    heading += ["head's gradient", "layer inputs", "one layer and its gradients"]
    return markdown([*heading, "GB a GPU"], rows)


def communication(cost: FlopCost) -> str:
    """A step of one row of 16K a GPU on 128 GPUs, without what overlaps."""
    size = cost.weights + cost.head
    gathers, sums = 2 * 2 * size, 4 * size  # bfloat16 forward and backward; float32 gradients
    compute = ROW * cost.training_per_token(ROW) / (0.4 * H100)
    inside = (GPUS_PER_MACHINE - 1) / GPUS_PER_MACHINE
    machines = PAPER_GPUS // GPUS_PER_MACHINE
    across = 2 * (sums / GPUS_PER_MACHINE) * (machines - 1) / machines
    rows = []
    full = (gathers + sums) * (PAPER_GPUS - 1) / PAPER_GPUS
    for name, nvlink, network in (
        ("full, over 128", 0.0, full),
        ("hybrid, 8 and 16 copies", (gathers + sums) * inside, across),
    ):
        seconds = nvlink / NVLINK + network / INFINIBAND
        rows.append(
            [
                name,
                f"{nvlink / 1e9:.1f}",
                f"{network / 1e9:.1f}",
                f"{seconds:.2f}",
                f"{compute:.2f}",
            ]
        )
    heading = ["sharding", "GB on NVLink", "GB on InfiniBand", "s in sending"]
    return markdown([*heading, "s in computing at MFU 40 %"], rows)


def sampling(cost: FlopCost) -> str:
    """Tokens a second of decoding at the memory's speed, beside training at MFU 40 %."""
    config = PHI_4_MINI
    head_dim = config.hidden_size // config.num_attention_heads
    cached = 2 * config.num_hidden_layers * config.num_key_value_heads * head_dim * 2
    weights = 2 * (cost.weights + cost.head)
    training = 0.4 * H100 / cost.training_per_token(ROW)
    rows = []
    for sequences in (4, 8, 16):
        context = 12_800  # the mean of a 25,600-token response as it grows
        read = weights + sequences * context * cached
        rate = sequences * MEMORY_BANDWIDTH / read
        rows.append(
            [
                str(sequences),
                f"{sequences * 2 * context * cached / 1e9:.0f}",
                f"{rate:,.0f}",
                f"{training / rate:.1f}",
            ]
        )
    heading = ["sequences a GPU", "GB of cache at 25,600", "tokens/s at most"]
    return markdown([*heading, "s of sampling a s of training"], rows)


def markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
