"""What can be wrong with a model bundle or with what is given to it."""

from __future__ import annotations

from irp_kernel.errors import InvalidArgument


class BundleNotValid(InvalidArgument):
    """The model bundle is not valid.

    Send a MONAI bundle as ZIP: `<name>/configs/metadata.json`, `configs/inference.json`, `models/model.pt`.
    """


class BundleNotSafe(InvalidArgument):
    """The model bundle holds something that is never read.

    Links, paths that leave the bundle, pickled objects other than tensors and expressions are refused.
    """


class BundleTooLarge(InvalidArgument):
    """The model bundle is larger than the limit.

    Store weights as float16, or ask the operator to raise the limit.
    """

    http_status = 413


class NetworkNotOffered(InvalidArgument):
    """The bundle's network is not one that is built here.

    Use one of the networks that the detail lists; nothing from a bundle is executed.
    """


class WeightsDoNotFit(InvalidArgument):
    """The weights do not fit the network that the bundle declares.

    Export the bundle again from the network that was trained.
    """


class ImageNotUsable(InvalidArgument):
    """The image holds no finite numbers, or the asked slices are not in it.

    Ask for slices and frames of the volume's shape; NaN and infinity are not images.
    """
