"""What the values of a recipe may be."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Temperature = Annotated[float, Field(ge=0, le=5)]
TopP = Annotated[float, Field(gt=0, le=1)]
Seconds = Annotated[float, Field(gt=0)]
Price = Annotated[float, Field(ge=0)]


def _bare_url(url: str) -> str:
    if "@" in url or "?" in url:  # the recipe is written into the run folder, secrets must not be
        raise ValueError("a base_url holds a user or a query; give the key in the environment")
    if url and not url.startswith(("http://", "https://")):
        raise ValueError("a base_url must begin with http:// or https://")
    return url


ServerUrl = Annotated[str, AfterValidator(_bare_url)]
Level = Literal["elementary", "middle", "high", "college", "graduate"]
Stage = Literal["pretrain", "midtrain", "sft", "dpo", "rlvr"]


class Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
