"""llama.cpp's model and context: the keys and values of sequences, and what decodes them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from ctypes import POINTER, c_float, c_int8, c_int32, c_uint8, cast
from typing import Any

import numpy as np

from minireason.edge.llama_library import last_error, library
from minireason.edge.runtime import Logits
from minireason.errors import SamplingError

PAD = 256
"""llama.cpp keeps room for a multiple of so many tokens."""

_FLOAT32 = 0  # GGML_TYPE_F32, and LLAMA_FTYPE_ALL_F32


class Batch:
    """llama_batch on arrays of our own, each token in one sequence."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.num_outputs = capacity, 0
        self._ids = np.zeros(capacity, np.int32)
        self._positions = np.zeros(capacity, np.int32)
        self._slots = np.zeros(capacity, np.int32)
        self._ones = np.ones(capacity, np.int32)
        self._outputs = np.zeros(capacity, np.int8)
        integers = POINTER(c_int32)
        first = self._slots.ctypes.data
        pointers = (cast(first + 4 * index, integers) for index in range(capacity))
        self.struct = library.llama_batch(
            0,
            self._ids.ctypes.data_as(integers),
            POINTER(c_float)(),
            self._positions.ctypes.data_as(integers),
            self._ones.ctypes.data_as(integers),
            (integers * capacity)(*pointers),
            self._outputs.ctypes.data_as(POINTER(c_int8)),
        )

    def clear(self) -> None:
        self.struct.n_tokens = self.num_outputs = 0

    def add(self, token: int, position: int, slot: int, *, is_output: bool) -> None:
        row = self.struct.n_tokens
        self._ids[row], self._positions[row], self._slots[row] = token, position, slot
        self._outputs[row] = is_output
        self.num_outputs += is_output
        self.struct.n_tokens = row + 1


class Model:
    """A loaded model, freed when it is closed or nobody holds it or a context of it."""

    def __init__(self, pointer: Any) -> None:
        self.pointer = pointer
        self.close = _freed_with(self, library.llama_model_free, pointer)


class Context:
    """Slots 0 .. num_slots - 1 for a sequence of `length` tokens each, all allocated at once.

    Keys and values have 16 bits, of a file of float32 weights 32. Raises SamplingError where
    there is no memory for them.
    """

    def __init__(
        self, model: Model, num_slots: int, length: int, threads: int, batch: Batch
    ) -> None:
        self.length = -(-length // PAD) * PAD
        self._model = model
        vocab = library.llama_model_get_vocab(model.pointer)
        self._vocab_size = library.llama_vocab_n_tokens(vocab)
        params = library.llama_context_default_params()
        params.n_seq_max, params.n_ctx = num_slots, num_slots * self.length
        params.n_batch = params.n_ubatch = batch.capacity
        params.n_threads = params.n_threads_batch = threads
        params.kv_unified = False
        if not library.llama_supports_gpu_offload():
            # On a CPU a token after 900 others takes two to three times as long with it.
            params.flash_attn_type = library.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.no_perf = True
        if library.llama_model_ftype(model.pointer) == _FLOAT32:
            params.type_k = params.type_v = _FLOAT32
        self._context = library.llama_init_from_model(model.pointer, params)
        if not self._context:
            raise SamplingError(
                f"llama.cpp has no room for {num_slots} sequences of {length} tokens: "
                f"{last_error()}; ask for fewer or shorter ones"
            )
        self.close = _freed_with(self, library.llama_free, self._context)

    def decode(self, batch: Batch) -> Logits:
        """Append the tokens to their slots: the logits [outputs, V] of those that ask for them."""
        status = library.llama_decode(self._context, batch.struct)
        if status != 0:
            why = "its cache is full" if status == 1 else last_error()
            raise SamplingError(f"llama.cpp could not take {batch.struct.n_tokens} ids: {why}")
        if not batch.num_outputs:
            return np.empty((0, self._vocab_size), np.float32)
        found = library.llama_get_logits(self._context)
        return np.ctypeslib.as_array(found, (batch.num_outputs, self._vocab_size)).copy()

    def take(self, source: Context, source_slot: int, slot: int) -> None:
        """Copy a sequence from a context of as many slots, perhaps this one, to a free slot."""
        size = library.llama_state_seq_get_size(source._context, source_slot)
        state = (c_uint8 * size)()
        library.llama_state_seq_get_data(source._context, state, size, source_slot)
        if not library.llama_state_seq_set_data(self._context, state, size, slot):
            raise SamplingError(f"llama.cpp could not move a sequence: {last_error()}")

    def forget(self, slot: int) -> None:
        library.llama_memory_seq_rm(library.llama_get_memory(self._context), slot, -1, -1)


def _freed_with(holder: object, free: Callable[[Any], None], pointer: Any) -> Callable[[], None]:
    """Frees the pointer, once: when it is called, or when the holder is gone.

    Not at the end of the process, when another thread may still be in a step.
    """
    finalizer = weakref.finalize(holder, free, pointer)
    finalizer.atexit = False
    return finalizer
