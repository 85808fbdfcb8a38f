"""Questions, rollouts, verdicts and the sets made of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from minireason.conventions import Conventions
from minireason.recipe.values import (
    Count,
    Fraction,
    Level,
    Positive,
    Price,
    Seconds,
    Section,
    ServerUrl,
    Temperature,
    TopP,
)


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
    near_duplicates: Fraction = 0.3
    """Drop a question with the numbers and answer of an earlier one and at least this share of its
    word triples (Jaccard); 0 keeps all but exact copies."""
    overlap: Fraction = 0.8
    """Drop a training question holding at least this share of a benchmark question's 8-grams;
    0 keeps all but exact copies."""
    annotator: str = ""
    """Model on the judge's server that is asked for domain and level where the source names none
    (paper: language models); empty leaves it to a classifier and rules."""


class RolloutSettings(Section):
    teacher: Literal["embedded", "traces", "recorded", "openai"] = "openai"
    """Who answers: `embedded` (procedural worked and flawed solutions), `traces` (the solutions
    that came with the questions), `recorded` (the responses in the files of `sources`), `openai`
    (any OpenAI-compatible server)."""
    sources: list[str] = []
    """Recorded teacher only: files of responses, .jsonl or .parquet, or folders of Parquet shards;
    a row names its question by id or by text."""
    num_rollouts: Positive = 8
    """Responses sampled for each question (paper: about 8), or recorded ones taken at most."""
    temperature: Temperature = 0.6
    """Sampling temperature of the teacher (paper: 0.6)."""
    top_p: TopP = 0.95
    """Nucleus of the teacher's sampling (paper: 0.95)."""
    max_tokens: Positive = 32768
    """Longest response of the teacher, in tokens."""
    accuracy: Annotated[float, Field(gt=0, le=1)] = 0.75
    """Embedded teacher only: share of its rollouts that are correct, on average over levels."""
    base_url: ServerUrl = ""
    """OpenAI-compatible server, for example `http://localhost:8000/v1`."""
    model: str = ""
    """The model the server is asked for."""
    concurrency: Positive = 32
    """Requests to the server in flight at once; to the judge's too."""
    timeout_s: Seconds = 1800.0
    """Longest time one request may take, the judge's too; then it is tried again."""
    prices: list[Price] = []
    """What a million prompt tokens and a million completion tokens of the server cost, in any
    currency, for example `[0.55, 2.19]`; empty counts no cost."""
    shard_size: Positive = 1000
    """Questions a shard; an interruption loses at most one shard's work, and nothing of a
    server's."""


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


class Judge(Section):
    base_url: ServerUrl = ""
    """OpenAI-compatible server of a model that judges what the rules reject or cannot read (paper);
    empty: none. Its key is read from JUDGE_API_KEY."""
    model: str = ""
    """The model that judges."""
    rechecks: list[Literal["unknown", "incorrect"]] = ["unknown", "incorrect"]
    """Verdicts of the rules that are judged again (paper: both)."""


class Curate(Section):
    max_repetition: Fraction = 0.5
    """Drop responses whose repetition score is above this."""
    max_foreign: Fraction = 0.1
    """Drop responses with a larger share of letters in a script that the question does not use."""
    sft_size: Positive = 10_000
    """Examples in the SFT set, at most."""
    sft_tokens: Count = 0
    """Response tokens in the SFT set, at most; 0 sets no limit."""
    sft_per_question: Positive = 1
    """Correct responses taken from one question for SFT, at most."""
    sft_min_quality: Fraction = 0.5
    """Least quality of an SFT response: what is neither repetition nor in another script."""
