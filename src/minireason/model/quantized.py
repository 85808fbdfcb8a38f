"""A frozen base in 4 bits, as QLoRA trains beside it (arXiv 2305.14314); through bitsandbytes.

It has not been run on a GPU. A CPU is refused: there bitsandbytes lays the weights out anew at the
first pass without gradients, and from then on none flow through them. With 4 bits the first update
of an RLVR step is on-policy only to bfloat16, since sampling and training take other kernels.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

import torch
from transformers import BitsAndBytesConfig

from minireason.errors import MissingError

Bits = Literal[32, 4]


def four_bits(device: str) -> BitsAndBytesConfig:
    """NF4 with double quantisation, products in bfloat16 (QLoRA, section 3).

    Raises MissingError where the device is not CUDA or bitsandbytes is not installed.
    """
    lacks = []
    if torch.device(device).type != "cuda":
        lacks.append(f"a CUDA device (this is {device})")
    if find_spec("bitsandbytes") is None:
        lacks.append("bitsandbytes (pip install 'minireason[qlora]')")
    if lacks:
        raise MissingError(
            f"lora.base_bits is 4, which needs {' and '.join(lacks)}; or set lora.base_bits = 32"
        )
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
