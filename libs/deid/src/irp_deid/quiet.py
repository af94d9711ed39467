"""pydicom tells the values that it finds odd: by warnings and by its log. Nobody may hear them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom import config

logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module=r"pydicom(\.|$)")


@contextmanager
def quietly() -> Iterator[None]:
    """No warnings, and values as they are: whoever touches an original dataset does it in here."""
    with warnings.catch_warnings(), config.disable_value_validation():
        warnings.simplefilter("ignore")
        yield
