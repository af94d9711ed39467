"""How projects, models and their versions are named in requests: `irp_kernel.ids`, as patterns that OpenAPI shows."""

from __future__ import annotations

from irp_kernel.ids import ALIASES

_NAME = r"[a-z][a-z0-9-]{0,46}[a-z0-9]"
_NUMBER = r"[1-9][0-9]{0,8}"
_VERSION = "|".join((_NUMBER, *ALIASES, "sha256:[0-9a-f]{64}"))

SLUG = f"^{_NAME}$"
VERSION = f"^({_VERSION})$"
MODEL = f"^{_NAME}(@({_VERSION}))?$"
MODEL_OR_NONE = f"^({_NAME}(@({_VERSION}))?)?$"
CONTAINER = f"^{_NAME}(@{_NUMBER})?$"
