"""What you learn here: what rooms remember by digest is bounded, and the oldest goes first."""

from __future__ import annotations

from irp_training.app.kept import Kept


def test_the_oldest_goes_and_the_same_again_pushes_nobody_out() -> None:
    kept: Kept[int] = Kept(2)
    kept["a"], kept["b"] = 1, 2
    kept["b"] = 3
    assert dict(kept) == {"a": 1, "b": 3}
    kept["c"] = 4
    assert dict(kept) == {"b": 3, "c": 4}
