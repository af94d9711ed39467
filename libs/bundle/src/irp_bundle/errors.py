"""What can be wrong with a bundle. Numbers and names of the format only; nothing of the bundle's own text."""

from __future__ import annotations

from irp_kernel.errors import InvalidArgument, TooLarge


class BundleBroken(InvalidArgument):
    """The model bundle cannot be read.

    Send a ZIP in the MONAI bundle layout: `<Name>/configs/metadata.json`, `<Name>/configs/inference.json` with
    `network_def`, and `<Name>/models/model.pt` holding a plain state dictionary, or `models/model.ts` or
    `models/model.onnx` holding the network itself.
    """


class BundleUnsafe(InvalidArgument):
    """The model bundle holds something that could do harm.

    Paths stay inside the bundle's folder, links are not taken, weights are plain tensors
    (`torch.save(net.state_dict())`), and expressions beginning with `$` are never evaluated.
    """


class BundleTooLarge(TooLarge):
    """The model bundle, or what it unpacks to, is larger than the limit.

    Send a smaller bundle, or raise the limit that the detail names.
    """


class NetworkNotAllowed(InvalidArgument):
    """The bundle asks for a network class that is not on the list.

    Use one of MONAI's networks that the message lists, with the input channels that it says, and plain numbers as
    arguments. A TorchScript file may call the operators of image networks only, an ONNX file those of ONNX itself.
    """


class PromptsNeeded(InvalidArgument):
    """The model segments what is marked, and nothing was marked.

    Send `prompts`: in each slice an inside click or scribble, or a box, as far as the model takes them.
    """


class WeightsMissing(InvalidArgument):
    """The bundle carries a network that runs, and no weights that could be learnt further.

    Send a bundle with `models/model.pt` (and `models/locate.pt`) too. An ONNX file is judged where OpenVINO is
    installed.
    """


class PipelineNotValid(InvalidArgument):
    """The bundle's `irp_pipeline` is not valid.

    The message names the key; libs/bundle/README.md lists all keys with their defaults.
    """


class ChannelsNotKnown(InvalidArgument):
    """The bundle's channels do not name structures that are known here, or one of them twice.

    `network_data_format.outputs.pred.channel_def` in configs/metadata.json maps each channel to `background` or to a
    canonical structure; channels are matched by name, never by position. Of a bundle of MONAI's Model Zoo one structure
    at least is known here; others count as background.
    """


class PipelineNotDerived(InvalidArgument):
    """The bundle's own preprocessing has a part that has no equal here.

    The message names the first such part; docs/how-to/push-a-model.md lists all that are understood. Add `irp_pipeline`
    to configs/inference.json, which says the same in this platform's words (libs/bundle/README.md), or leave the part
    out.
    """


class RegionTooLarge(InvalidArgument):
    """At the spacing that the model wants, the image has more voxels than one answer may hold.

    The detail says the limit. Check the image's pixel spacing; a model with stage 1 looks at the heart's window only.
    """
