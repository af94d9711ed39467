"""A block of memory that a room and its engine process both see: tensors lie at its beginning."""

from __future__ import annotations

import mmap
import os

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


class TensorBlock:
    """Grows where either side needs more of it; the other side sees that when it needs more itself."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._map, self._size = mmap.mmap(-1, 1), 0

    def view(self, shape: tuple[int, ...] | list[int]) -> Array:
        """The first numbers of the block as an array of this shape."""
        count = int(np.prod(shape))
        self._reach(4 * count)
        return np.frombuffer(self._map, np.float32, count).reshape(shape)

    def close(self) -> None:
        """Let go of the memory; views of it stay readable, and keep it."""
        os.close(self.descriptor)
        self._map, self._size = mmap.mmap(-1, 1), 0  # the mapping holds a descriptor of its own

    def _reach(self, size: int) -> None:
        if size > self._size:
            now = os.fstat(self.descriptor).st_size
            if now < size:
                os.ftruncate(self.descriptor, size)
            self._size = max(now, size)
            self._map = mmap.mmap(self.descriptor, self._size)
