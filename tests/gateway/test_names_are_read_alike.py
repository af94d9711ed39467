"""What you learn here: the patterns that OpenAPI shows let in what the rooms understand, and nothing else."""

from __future__ import annotations

import re

import pytest
from irp_gateway.domain.naming import MODEL, SLUG
from irp_kernel import Slug
from irp_kernel.errors import InvalidArgument
from irp_kernel.ids import split_model

DIGEST = "sha256:" + "0f" * 32
GOOD = ["cine", "cine-2", "cine@1", "cine@999999999", "cine@champion", "cine@previous", "cine@candidate"]
DIGESTS = [f"cine@{DIGEST}", f"cine@{DIGEST[:-1]}", f"cine@{DIGEST.upper()}"]
BAD = ["", "c", "Cine", "cine-", "2cine", "cine@", "cine@0", "cine@01", "cine@1234567890", "cine@newest", "cine@1@2"]


@pytest.mark.parametrize("text", [*GOOD, *BAD, *DIGESTS, "a\nb"])
def test_a_model_is_let_in_where_it_is_understood(text: str) -> None:
    assert bool(re.search(MODEL, text)) == understood(split_model, text)


@pytest.mark.parametrize("text", ["cine", "c", "cine-", "-cine", "a" * 48, "a" * 49, "cine@1", "ciné"])
def test_a_name_is_let_in_where_it_is_understood(text: str) -> None:
    assert bool(re.search(SLUG, text)) == understood(Slug, text)


def understood(read: object, text: str) -> bool:
    try:
        read(text)  # type: ignore[operator]
    except InvalidArgument:
        return False
    return True
