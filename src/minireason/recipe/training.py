"""The optimizer and the training stages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from minireason.recipe.values import Count, Fraction, Positive, Section, Temperature


class Optimizer(Section):
    name: Literal["adamw", "muon"] = "adamw"
    """`adamw` (paper), or `muon` for the matrices inside the network and AdamW for the rest:
    learns a tiny model from scratch in fewer steps."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """Decoupled weight decay, on matrices only."""
    beta1: Fraction = 0.9
    """AdamW first-moment decay."""
    beta2: Fraction = 0.95
    """AdamW second-moment decay."""
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    """Gradients are scaled down to this global norm."""
    warmup_ratio: Fraction = 0.1
    """Share of the steps over which the learning rate rises (paper: 10 %)."""
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    """What the learning rate does after the warm-up; linear and cosine end at a tenth."""
    checkpoint_every: Positive = 100
    """Optimizer steps between checkpoints; a kill repeats at most these."""
    keep_checkpoints: Positive = 1
    """Newest checkpoints kept while a stage runs."""
    max_skipped: Positive = 3
    """Updates whose gradients are not finite are skipped; so many in a row end the run."""


class Parallel(Section):
    sharding: Literal["full", "hybrid"] = "full"
    """Where there are several processes: weights spread over all of them, or over those of each
    machine with a copy on every machine."""
    activation_checkpointing: Literal["none", "selective", "full"] = "none"
    """What is computed again in the backward pass instead of being held: nothing, all but
    attention and every second matrix product, or all but the layers' inputs."""
    cpu_offload: bool = False
    """Hold weights and optimizer in the memory of the machine, not of the GPU; slow."""
    compile: bool = False
    """Compile the layers with torch.compile."""


class Lora(Section):
    rank: Count = 0
    """Train adapters of this rank (LoRA, arXiv 2106.09685) in place of the weights, which stay as
    they are until the adapters are merged at a stage's end; 0 trains the weights themselves.
    Adapters want about ten times the learning rate. Pre-training has none."""
    alpha: Annotated[float, Field(gt=0)] = 32.0
    """The adapters' product is multiplied by `alpha` over `rank`."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Dropout before the adapters, in mid-training and SFT. DPO and RLVR have none: they compare
    log-probabilities with those of a model without it."""
    targets: Annotated[list[str], Field(min_length=1)] = ["all-linear"]
    """Linear layers with an adapter, by the last part of their names (`qkv_proj`), or `all-linear`:
    all but the head."""
    base_bits: Literal[32, 4] = 32
    """Bits a weight of the frozen base while adapters train: 4 is QLoRA (arXiv 2305.14314), which
    needs CUDA, bitsandbytes and one process, and has not been run on a GPU yet. The adapters are
    merged into the base in 32."""


class Training(Section):
    """What every stage sets for itself."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    """Peak learning rate."""
    seq_length: Positive = 16384
    """Longest example and length of a row, in tokens."""
    batch_size: Positive = 128
    """Rows an optimizer step: packed rows, examples, or pairs where nothing is packed."""
    micro_batch_size: Positive = 1
    """Rows of full length in memory at once; gradients accumulate to the same update."""
    epochs: Annotated[float, Field(gt=0)] = 5
    """Passes over the data."""
    max_steps: Count = 0
    """Stop after this many steps; 0 goes through all epochs."""
    packing: Literal["best-fit", "split", "none"] = "best-fit"
    """How examples make rows: `best-fit` puts whole ones together, kept apart exactly; `split` lays
    all end to end and cuts every `seq_length` tokens (next-token training only); `none` takes
    `batch_size` examples a step, without computing any padding."""
    overlong: Literal["error", "drop"] = "error"
    """What to do with an example longer than `seq_length`: never cut silently."""


class Pretrain(Training):
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    facts_fraction: Fraction = 0.6
    """Share of texts that are arithmetic facts; the others are questions to read or with a bare
    answer."""
    num_texts: Positive = 100_000
    """Texts generated for pre-training the tiny base."""


class Midtrain(Training):
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.01
    """Share of the questions held out to measure the loss on; 0 trains on all, to the end."""
    validate_every: Positive = 100
    """Steps between two measurements of the held-out loss."""
    patience: Positive = 3
    """Stop, with the best weights, after so many measurements in a row without improvement
    (paper: mid-training goes on until validation saturates)."""
    min_delta: Annotated[float, Field(ge=0)] = 0.001
    """Least fall of the held-out loss, in nats a token, that counts as an improvement."""


class Sft(Training):
    seq_length: Positive = 20480
    packing: Literal["best-fit", "split", "none"] = "none"
    loss_on: Literal["response", "all"] = "response"
    """Tokens that are learnt: the response's (paper), or all, the question's too."""


class Dpo(Training):
    learning_rate: Annotated[float, Field(gt=0)] = 5e-7
    epochs: Annotated[float, Field(gt=0)] = 1
    loss: Literal["dpo", "ipo", "dpo_norm"] = "dpo"
    """`dpo` (paper), `ipo`, whose margin has a finite target, or `dpo_norm`, DPO of log-ratios
    divided by the response's length."""
    beta: Annotated[float, Field(gt=0)] = 0.1
    """Strength of the pull towards the reference model (the paper gives no value; Tulu 3 takes 5
    for `dpo_norm`)."""
    nll_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the chosen response's mean negative log-likelihood (0: none, the paper)."""
    rollouts_from: Literal["teacher", "student", "both"] = "teacher"
    """Whose rollouts make the pairs: the teacher's (paper), or fresh ones of the model itself."""
    pairs_per_question: Positive = 4
    """Pairs made from one question, at most."""
    max_length_ratio: Annotated[float, Field(ge=1)] = 4.0
    """Drop pairs whose longer response is more than this many times the shorter."""
    rejects_truncated: bool = False
    """Let a response that was cut off be the rejected one."""
    num_questions: Positive = 1000
    """Questions the student answers for its own pairs."""
    num_rollouts: Positive = 8
    """Student rollouts a question."""
    temperature: Temperature = 0.8
    """Sampling temperature of the student."""
