"""How projects, models and their versions are named in requests: `irp_kernel.ids`, as patterns that OpenAPI shows."""

from __future__ import annotations

from irp_kernel import ids

_VERSION = "|".join((ids.NUMBER, *ids.ALIASES, ids.DIGEST))

SLUG = f"^{ids.SLUG}$"
VERSION = f"^({_VERSION})$"
MODEL = f"^{ids.SLUG}(@({_VERSION}))?$"
MODEL_OR_NONE = f"^({ids.SLUG}(@({_VERSION}))?)?$"
CONTAINER = f"^{ids.SLUG}(@{ids.NUMBER})?$"
