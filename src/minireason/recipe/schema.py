"""The whole recipe, and what must hold between its sections."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from minireason.recipe.data import Curate, Judge, Questions, RolloutSettings, Verify
from minireason.recipe.reinforcement import Rlvr, Sampler
from minireason.recipe.training import (
    Dpo,
    Lora,
    Midtrain,
    Optimizer,
    Parallel,
    Pretrain,
    Sft,
    Training,
)
from minireason.recipe.values import Count, Positive, Section, Stage, Temperature, TopP


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
    trackers: list[Literal["tensorboard", "trackio", "wandb"]] = []
    """Where the training metrics go beside `metrics.jsonl`, each a package installed as an extra of
    its name; changes no result, so a run may go on with others."""


class Model(Section):
    base: str = "tiny"
    """The base model: `tiny` (carried by the package), a local folder, or a hub id."""
    system_prompt: str = ""
    """System message before every question; empty leaves it out."""
    max_length: Positive = 32768
    """Longest prompt plus response, in tokens, in sampling and evaluation."""
    rope: Literal["auto", "long", "short"] = "auto"
    """Which of a LongRoPE model's two sets of factors the whole run uses, and saves: auto keeps
    what the base is pinned to, else takes long where the run's longest context exceeds the length
    the base was pre-trained at, and short where not."""


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
    judge: Judge = Judge()
    curate: Curate = Curate()
    optimizer: Optimizer = Optimizer()
    parallel: Parallel = Parallel()
    lora: Lora = Lora()
    pretrain: Pretrain = Pretrain()
    midtrain: Midtrain = Midtrain()
    sft: Sft = Sft()
    dpo: Dpo = Dpo()
    rlvr: Rlvr = Rlvr()
    sampler: Sampler = Sampler()
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
        if (self.rollout.teacher == "recorded") != bool(self.rollout.sources):
            raise ValueError(
                f"rollout.teacher is {self.rollout.teacher!r} and rollout.sources is "
                f"{self.rollout.sources}; the recorded teacher needs sources, the others have none"
            )
        if self.sampler.engine != "embedded" and "rlvr" in self.run.stages:
            self._require_vllm()
        if self.questions.annotator and not self.judge.base_url:
            raise ValueError("questions.annotator names a model and judge.base_url no server of it")
        if self.judge.base_url and not self.judge.model:
            raise ValueError("judge.model is empty; the judge's server is asked for a model")
        if len(self.rollout.prices) not in (0, 2):
            raise ValueError(
                f"rollout.prices is {self.rollout.prices}; give two, of a million prompt and of a "
                f"million completion tokens, or none"
            )
        if self.sft.packing == "split" and self.sft.loss_on == "response":
            raise ValueError(
                "sft.packing is 'split' and sft.loss_on is 'response'; a part that was cut off has "
                "no response: take 'best-fit' or 'none', or learn from all tokens"
            )
        if self.dpo.packing == "split":
            raise ValueError(
                "dpo.packing is 'split'; a pair stays whole: take 'best-fit' or 'none'"
            )
        self._require_lora()
        return self

    def _require_vllm(self) -> None:
        """What RLVR cannot have where vLLM samples."""
        rlvr = self.rlvr
        hottest = max(rlvr.temperature_start, rlvr.temperature_end)
        for is_wrong, given in (
            (
                rlvr.top_p < 1,
                f"rlvr.top_p is {rlvr.top_p}: it tells no log-probabilities of a part",
            ),
            (rlvr.staleness > 1, f"rlvr.staleness is {rlvr.staleness}: one engine has one model"),
            (hottest > 2, f"an rlvr temperature is {hottest}: it takes at most 2"),
            (rlvr.algorithm == "rloo", "rlvr.algorithm is 'rloo': importance is by the token"),
        ):
            if is_wrong:
                raise ValueError(
                    f"sampler.engine is {self.sampler.engine!r} and {given}; change that, or take "
                    "'embedded'"
                )

    def _require_lora(self) -> None:
        """What cannot be with adapters, or only with them."""
        lora = self.lora
        if self.parallel.cpu_offload and self.optimizer.name == "muon":
            raise ValueError(
                "optimizer.name is 'muon' and parallel.cpu_offload is set; Muon needs its matrices "
                "on the device: take 'adamw', or do not offload"
            )
        if lora.rank and self.optimizer.name == "muon":
            raise ValueError(
                f"optimizer.name is 'muon' and lora.rank is {lora.rank}; Muon is for whole "
                "matrices, not for the two factors of an update: take 'adamw', or lora.rank = 0"
            )
        if lora.base_bits == 32:
            return
        for is_wrong, given in (
            (lora.rank == 0, "lora.rank is 0: weights in 4 bits cannot be trained"),
            (self.run.device == "cpu", "run.device is 'cpu': it needs CUDA"),
            (self.parallel.cpu_offload, "parallel.cpu_offload is true: such weights are not moved"),
        ):
            if is_wrong:
                raise ValueError(f"lora.base_bits is 4 and {given}; change that, or give 32 bits")


def longest_context(recipe: Recipe) -> int:
    """Tokens of the longest sequence that the run may sample or train on."""
    stages = [getattr(recipe, stage) for stage in recipe.run.stages]
    trained = [stage.seq_length for stage in stages if isinstance(stage, Training)]
    return max(recipe.model.max_length, *trained, 0)
