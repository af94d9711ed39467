"""What a DICOM SEG cannot say in public attributes: on which images a structure was judged and found absent.

Private group 0071, creator "OPENIRP 1.0", element 01 (UT): JSON {"structure": [[time, slice], ...]}.
"""

from __future__ import annotations

import json

import numpy as np
from irp_kernel import Mask
from irp_kernel.errors import IrpError
from pydicom.dataset import Dataset

from irp_annotation.domain.annotated import apply_annotated, state_annotated
from irp_annotation.domain.structures import Structures

GROUP, CREATOR, ELEMENT = 0x0071, "OPENIRP 1.0", 0x01


def write_annotated_block(dataset: Dataset, mask: Mask) -> None:
    """Add the block."""
    block = dataset.private_block(GROUP, CREATOR, create=True)
    block.add_new(ELEMENT, "UT", json.dumps(state_annotated(mask), separators=(",", ":")))


def read_annotated_block(dataset: Dataset, mask: Mask) -> Mask:
    """The mask as the block says; unchanged if there is none or it does not fit (another mapping of the segments)."""
    try:
        statement = json.loads(dataset.private_block(GROUP, CREATOR)[ELEMENT].value)
        stated = apply_annotated(mask, statement, Structures())
    except (KeyError, ValueError, AttributeError, IrpError):
        return mask
    covers = stated.table.names == mask.table.names and bool(np.all(stated.annotated >= mask.annotated))
    return stated if covers else mask
