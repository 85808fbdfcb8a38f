"""One training by us and the same by TRL: same weights, same tokens, same batches.

What both sides get: the model's folder, float32, tokens made beforehand, AdamW (fused) with the
same settings, a constant learning rate, gradients clipped at 1.0, no evaluation, no checkpoint.
What TRL gets besides: transformers' sdpa attention, no activation checkpointing (its default is
on), no logging and no progress bar, memory not pinned. Its fused head, which takes the
log-probabilities in chunks, is its only loss path in 1.16. What we keep on: our log of
metrics, and deterministic algorithms (`use_threads`), which TRL's side is spared.
A step's seconds reach from the end of the step before it to its own end, whatever is done between.
"""
