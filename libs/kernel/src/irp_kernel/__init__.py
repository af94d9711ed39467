"""What words mean in this house: identifiers, geometry, volumes, masks, errors. No I/O."""

from irp_kernel.codec import decode_mask, decode_volume, encode_mask, encode_volume
from irp_kernel.errors import Code, IrpError
from irp_kernel.geometry import Geometry
from irp_kernel.ids import Slug, Uid
from irp_kernel.mask import CANONICAL, Label, LabelTable, Mask
from irp_kernel.object_ref import ObjectRef, object_key, object_prefix, sha256_of
from irp_kernel.volume import Volume

__all__ = [
    "CANONICAL",
    "Code",
    "Geometry",
    "IrpError",
    "Label",
    "LabelTable",
    "Mask",
    "ObjectRef",
    "Slug",
    "Uid",
    "Volume",
    "decode_mask",
    "decode_volume",
    "encode_mask",
    "encode_volume",
    "object_key",
    "object_prefix",
    "sha256_of",
]
