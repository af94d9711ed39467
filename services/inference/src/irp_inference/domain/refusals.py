"""Bundles that were refused lately, and why: what depends on a bundle alone is not tried for each who asks. Pure."""

from __future__ import annotations

from collections import OrderedDict

from irp_kernel.errors import IrpError

REMEMBERED_S = 900.0  # then it is tried again: memory may have been short, or the machine slow. A try takes up to 300 s
MOST = 256  # bundles; the oldest refusal goes first


class Refusals:
    """By digest. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[IrpError, float]] = OrderedDict()

    def add(self, digest: str, error: IrpError, now: float) -> None:
        """It was refused now."""
        self._kept[digest] = (error, now)
        self._kept.move_to_end(digest)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def of(self, digest: str, now: float) -> IrpError | None:
        """An error that says the same again; None = it may be tried."""
        error, since = self._kept.get(digest, (None, 0.0))
        if error is None or now - since >= REMEMBERED_S:
            return None
        return type(error)(error.message, **error.details)

    def forget(self, digest: str) -> None:
        """Somebody wants it tried again."""
        self._kept.pop(digest, None)
