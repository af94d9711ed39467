"""What every part of a configuration document is: strict, frozen, and made of the same words."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,62}$")]
Canonical = Literal["lv_blood_pool", "lv_myocardium", "rv_blood_pool", "scar", "no_reflow"]


class Strict(BaseModel):
    """A part of the document; keys that are not known are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)
