"""The recipe: one strict TOML file describes a whole run. The paper's values are the defaults.

The text under each field is its only documentation; `docs/recipe.md` is generated from it.
Paper: Phi-4-Mini-Reasoning, arXiv 2504.21233. This module imports no torch.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from minireason.conventions import Conventions

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Temperature = Annotated[float, Field(ge=0, le=5)]
TopP = Annotated[float, Field(gt=0, le=1)]
Seconds = Annotated[float, Field(gt=0)]
Level = Literal["elementary", "middle", "high", "college", "graduate"]
Stage = Literal["pretrain", "midtrain", "sft", "dpo", "rlvr"]


class Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )


class Run(Section):
    name: str = "run"
    """What the report calls this run."""
    seed: Count = 0
    """Every random choice derives from this seed and the name of what is chosen."""
    stages: list[Stage] = ["midtrain", "sft", "dpo", "rlvr"]
    """The training stages, in order; leave one out to measure the ladder without it."""
    threads: Positive = 1
    """CPU threads of training and sampling. Results are bit-for-bit repeatable at 1."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto takes CUDA if there is one."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the forward pass computes in; weights and optimizer stay in float32, or small updates
    would be lost. bfloat16 is slow on CPUs without matrix units for it (AMX)."""


class Model(Section):
    base: str = "tiny"
    """The base model: `tiny` (carried by the package), a local folder, or a hub id."""
    system_prompt: str = ""
    """System message before every question; empty leaves it out."""
    max_length: Positive = 32768
    """Longest prompt plus response, in tokens, in sampling and evaluation."""


class Questions(Section):
    sources: list[str] = ["procedural"]
    """Where training questions come from: `procedural`, a .jsonl or .parquet path, a folder of
    Parquet shards, or `hf:owner/name`."""
    limit: Count = 0
    """How many questions to take from each source, by seeded shuffle; 0 takes all (procedural
    questions are endless, so they need a limit)."""
    levels: list[Level] = ["elementary", "middle", "high", "college", "graduate"]
    """Levels of the procedural questions."""
    choice_fraction: Fraction = 0.15
    """Share of procedural questions put as multiple choice."""
    split: str = "train"
    """Split of a Hugging Face dataset."""
    question_column: str = ""
    """Column of the question's text; empty tries the usual names."""
    answer_column: str = ""
    """Column of the final answer; empty tries the usual names."""
    solution_column: str = ""
    """Column of the worked solution, where there is one; empty tries the usual names."""
    bad_rows: Literal["error", "drop"] = "error"
    """What to do with a row that has no question or no answer; dropped ones are counted."""
    overlap: Fraction = 0.8
    """Drop a training question holding at least this share of a benchmark question's 8-grams;
    0 keeps all but exact copies."""


class RolloutSettings(Section):
    teacher: Literal["embedded", "traces", "openai"] = "openai"
    """Who answers: `embedded` (procedural worked and flawed solutions), `traces` (the solutions
    that came with the questions), `openai` (any OpenAI-compatible server)."""
    num_rollouts: Positive = 8
    """Responses sampled for each question (paper: about 8)."""
    temperature: Temperature = 0.6
    """Sampling temperature of the teacher (paper: 0.6)."""
    top_p: TopP = 0.95
    """Nucleus of the teacher's sampling (paper: 0.95)."""
    max_tokens: Positive = 32768
    """Longest response of the teacher, in tokens."""
    accuracy: Annotated[float, Field(gt=0, le=1)] = 0.75
    """Embedded teacher only: share of its rollouts that are correct, on average over levels."""
    base_url: str = ""
    """OpenAI-compatible server, for example `http://localhost:8000/v1`."""
    model: str = ""
    """The model the server is asked for."""
    concurrency: Positive = 32
    """Requests to the server in flight at once."""
    shard_size: Positive = 1000
    """Questions a shard; an interruption loses at most one shard's work."""


class Verify(Section):
    timeout_s: Seconds = 3.0
    """Wall-clock limit of one symbolic comparison, from the start of its work."""
    memory_mb: Annotated[int, Field(ge=256)] = 2048
    """Memory limit of a verification worker."""
    workers: Positive = 1
    """Worker processes for symbolic comparisons; none starts before one is needed."""
    conventions: dict[str, bool | int] = {}
    """What counts as the same answer where notation leaves a choice, as far as it differs from the
    defaults (docs/verification.md): `{rounded_digits = 0}`."""

    @field_validator("conventions")
    @classmethod
    def _known(cls, given: dict[str, bool | int]) -> dict[str, bool | int]:
        Conventions.from_settings(given)
        return given


class Curate(Section):
    max_repetition: Fraction = 0.5
    """Drop responses whose repetition score is above this."""
    sft_size: Positive = 10_000
    """Examples in the SFT set, at most."""
    sft_per_question: Positive = 1
    """Correct responses taken from one question for SFT, at most."""


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
    """Optimizer steps between checkpoints; an interruption repeats at most these."""


class Training(Section):
    """What every stage sets for itself."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    """Peak learning rate."""
    seq_length: Positive = 16384
    """Longest example and length of a row, in tokens."""
    batch_size: Positive = 128
    """Rows an optimizer step: packed rows, examples, or pairs where nothing is packed."""
    micro_batch_size: Positive = 1
    """Rows in memory at once; gradients accumulate to the same update."""
    epochs: Annotated[float, Field(gt=0)] = 5
    """Passes over the data."""
    max_steps: Count = 0
    """Stop after this many steps; 0 goes through all epochs."""
    packing: bool = True
    """Put several examples into a row, kept apart exactly."""
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
    pass


class Sft(Training):
    seq_length: Positive = 20480
    packing: bool = False


class Dpo(Training):
    learning_rate: Annotated[float, Field(gt=0)] = 5e-7
    epochs: Annotated[float, Field(gt=0)] = 1
    beta: Annotated[float, Field(gt=0)] = 0.1
    """Strength of the pull towards the reference model (the paper gives no value)."""
    nll_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the chosen response's mean negative log-likelihood (0: plain DPO, the paper)."""
    rollouts_from: Literal["teacher", "student", "both"] = "teacher"
    """Whose rollouts make the pairs: the teacher's (paper), or fresh ones of the model itself."""
    pairs_per_question: Positive = 4
    """Pairs made from one question, at most."""
    max_length_ratio: Annotated[float, Field(ge=1)] = 4.0
    """Drop pairs whose longer response is more than this many times the shorter."""
    num_questions: Positive = 1000
    """Questions the student answers for its own pairs."""
    num_rollouts: Positive = 8
    """Student rollouts a question."""
    temperature: Temperature = 0.8
    """Sampling temperature of the student."""


class Rlvr(Section):
    learning_rate: Annotated[float, Field(gt=0)] = 5e-7
    """Peak learning rate (paper: 5e-7)."""
    num_steps: Positive = 200
    """Sampling steps."""
    prompts_per_step: Positive = 16
    """Prompts sampled in a step."""
    group_size: Annotated[int, Field(ge=2)] = 8
    """Responses a prompt in a step."""
    updates_per_step: Positive = 1
    """Optimizer updates on each step's responses, each on a part of them."""
    micro_batch_size: Positive = 1
    """Rows in memory at once."""
    max_tokens: Positive = 25600
    """Longest response, in tokens (paper: 25K)."""
    top_p: TopP = 1.0
    """Nucleus of sampling; below 1 the update is no longer on-policy."""
    temperature_start: Annotated[float, Field(gt=0, le=5)] = 1.0
    """Sampling temperature of the first step (paper: 1.0)."""
    temperature_end: Annotated[float, Field(gt=0, le=5)] = 0.6
    """Sampling temperature after annealing (paper: 0.6)."""
    anneal_fraction: Fraction = 0.5
    """Share of the steps over which the temperature falls (paper: half); 0 keeps the start."""
    prompt_optimization: bool = True
    """Keep prompts whose responses have near-uniform length (paper)."""
    max_length_spread: Annotated[float, Field(gt=0)] = 0.5
    """Prompt optimisation: largest standard deviation over mean of the response lengths."""
    min_pass_rate: Fraction = 0.0
    """Prompt optimisation: drop prompts solved in a smaller share of the trials."""
    max_pass_rate: Fraction = 1.0
    """Prompt optimisation: drop prompts solved in a larger share of the trials."""
    num_candidates: Positive = 1000
    """Questions tried for prompt optimisation."""
    trial_rollouts: Annotated[int, Field(ge=2)] = 8
    """Trial responses a candidate prompt."""
    rebalance: bool = True
    """Reward rebalancing (paper): oversample hard prompts, keep all positives and as many random
    negatives, drop prompts solved too often."""
    oversample: Annotated[float, Field(ge=1)] = 2.0
    """Rebalancing: how many times likelier the hardest prompt is drawn than the easiest."""
    easy_pass_rate: Fraction = 0.5
    """Rebalancing: drop a group solved more often than this (paper: for example 50 %)."""
    scale_by_std: bool = True
    """Divide advantages by the group's standard deviation (GRPO); false is Dr. GRPO."""
    clip_low: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Lower clip range of the probability ratio."""
    clip_high: Annotated[float, Field(gt=0)] = 0.2
    """Upper clip range of the probability ratio."""
    kl_weight: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the KL penalty to the stage's starting model."""


class Evaluate(Section):
    benchmarks: list[str] = ["embedded-math", "embedded-hard", "embedded-choice"]
    """Embedded benchmarks by name, or question files as under `questions.sources`."""
    limit: Count = 0
    """Questions a benchmark, by seeded shuffle; 0 takes all."""
    num_samples: Positive = 4
    """Responses a question; pass@1 is their mean."""
    temperature: Temperature = 0.6
    """Sampling temperature (paper: 0.6 to 0.8)."""
    top_p: TopP = 0.95
    """Nucleus of sampling (paper: 0.95)."""
    max_tokens: Positive = 32768
    """Longest response, in tokens (paper: 32,768)."""
    batch_size: Positive = 64
    """Sequences decoded at once, here and wherever the embedded engine samples."""
    seed: Count = 1234
    """Seed of the evaluation samples: the same for every rung, so that rungs compare in pairs."""


class Report(Section):
    num_examples: Positive = 8
    """Questions shown side by side with every rung's response."""


class Recipe(Section):
    """Everything a run depends on."""

    run: Run = Run()
    model: Model = Model()
    questions: Questions = Questions()
    rollout: RolloutSettings = RolloutSettings()
    verify: Verify = Verify()
    curate: Curate = Curate()
    optimizer: Optimizer = Optimizer()
    pretrain: Pretrain = Pretrain()
    midtrain: Midtrain = Midtrain()
    sft: Sft = Sft()
    dpo: Dpo = Dpo()
    rlvr: Rlvr = Rlvr()
    evaluate: Evaluate = Evaluate()
    report: Report = Report()

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        order = ["pretrain", "midtrain", "sft", "dpo", "rlvr"]
        if self.run.stages != [s for s in order if s in self.run.stages]:
            raise ValueError(
                f"run.stages is {self.run.stages}; each stage at most once, in the order {order}"
            )
        if "procedural" in self.questions.sources and self.questions.limit == 0:
            raise ValueError("questions.limit is 0; procedural questions are endless, give a limit")
        if self.rollout.teacher == "openai" and "midtrain" in self.run.stages:
            for key in ("base_url", "model"):
                if not getattr(self.rollout, key):
                    raise ValueError(f"rollout.{key} is empty; the openai teacher needs it")
        if self.rlvr.min_pass_rate > self.rlvr.max_pass_rate:
            raise ValueError(
                f"rlvr.min_pass_rate is {self.rlvr.min_pass_rate}, above rlvr.max_pass_rate "
                f"({self.rlvr.max_pass_rate}); no prompt could pass"
            )
        return self
