"""One stage of RLVR by us and the same by TRL's GRPOTrainer: same model, prompts and rewards.

Both sides: float32; the same prompts in the same order, as many samples of each with the same limit
of tokens, temperature 1 and nothing cut; one update on all of a step's responses; GRPO with rewards
over their group's standard deviation, mean over responses of the mean over tokens, no KL; fused
AdamW, a constant learning rate, gradients clipped at 1.0; +1 or -1 by our verifier, which TRL's
side asks for a step's responses at once. No rebalancing, no oversampling, no annealing.

What each side does as it does it:

1. Ours is the stage `rlvr` as a recipe runs it, with its log and its rollout buffer; samples for
   the report are not kept. It judges while it samples.
2. TRL's has sdpa attention, no activation checkpointing, no log, no checkpoints, no progress bar,
   and is spared deterministic algorithms.
3. A group whose rewards are all equal gives no gradient. Ours leaves it out and divides by the
   responses that are left; TRL computes its zeros and divides by all. So TRL's gradients are
   smaller by the share that is left, which AdamW hardly sees: its update is the same for gradients
   that are all smaller by one factor. Clipping would see it; norms are printed, to show that they
   stay below 1.0.
4. A response whose answer cannot be read leaves its group with us, and counts 0 with TRL, which is
   what TRL makes of a reward of None.

On the same responses and rewards, loss and gradients are equal: the tests of `PolicyGradient`
compare them with TRL's.
"""
