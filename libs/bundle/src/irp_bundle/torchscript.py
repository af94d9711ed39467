"""A TorchScript file, looked through before anybody opens it, and packed anew so that what was seen is what is read.

Its operators include some that read and write files (`torch.from_file`, `x.save(...)`), so only listed ones may be
called. It is opened in the process of an engine alone, never in a room. Nothing here is executed or unpickled.
"""

from __future__ import annotations

import ast
import io
import pickletools
import zipfile
from collections.abc import Iterator

from irp_bundle.archive import EPOCH, Limits, read_entries
from irp_bundle.errors import BundleBroken, BundleTooLarge, BundleUnsafe, NetworkNotAllowed

CODE_BYTES = 512 << 10  # of all its source text, and of all its pickles: both are looked through word by word
ENTRIES = 64  # times those of a bundle: one per tensor and per module
FILES = frozenset({"save", "from_file"})  # operators that reach files; nothing may be called so
TENSORS = ("torch._utils._rebuild_tensor_v2", "collections.OrderedDict", "torch.jit._pickle.")
STORED = frozenset(f"torch.{kind}Storage" for kind in ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Bool"))
OTHER_WAYS = frozenset({"STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"})  # to name a class in a pickle

_LISTED = """
__and__ __contains__ __derive_index __getitem__ __is__ __isnot__ __not__ __or__ __range_length _convolution
_convolution_mode _set_item _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_lanczos2d_aa
_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d abs adaptive_avg_pool1d
adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d add add_ append argmax avg_pool2d batch_norm bmm cat
ceil celu celu_ chunk clamp clamp_ clamp_min contiguous conv1d conv2d conv3d conv_transpose2d cumsum detach dim div
div_ dropout dropout_ einsum elu elu_ eq erf exp expand expand_as feature_dropout flatten floor floor_divide
floordiv format full full_like ge gelu glu group_norm gt hardsigmoid hardsigmoid_ hardswish hardswish_ hardtanh
hardtanh_ instance_norm layer_norm le leaky_relu leaky_relu_ len linear list log log_softmax lt masked_fill
matmul max max_pool2d maximum mean min minimum mish mish_ mul mul_ narrow ne neg numel ones ones_like pad permute
pixel_shuffle pixel_unshuffle pow prelu reciprocal reflection_pad2d relu relu6 relu6_ relu_ remainder repeat
replication_pad2d reshape reverse rsqrt rsub scaled_dot_product_attention select sigmoid sigmoid_ silu silu_ size
slice softmax softplus softsign split split_with_sizes sqrt squeeze stack std sub sub_ sum tanh tanh_ tensor to
transpose type_as unbind unflatten unsqueeze upsample_bicubic2d upsample_bilinear2d upsample_linear1d
upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d var view warn where zeros zeros_like
"""
OPERATORS = frozenset(_LISTED.split())
PRIMITIVES = frozenset(
    ["RaiseException", "NumToTensor", "ImplicitTensorToNum", "dtype", "device", "layout", "unchecked_cast", "is_cuda"]
)
TYPES = frozenset(["Tensor", "device", "dtype", "float16", "float32", "bfloat16", "int64", "strided"])
NOT_NAMED = frozenset(["torch", "ops"])  # but in the name of an operator
NOT_CALLED = frozenset(["fork", "awaitable", "print"])


def clean_torchscript(data: bytes, limits: Limits) -> bytes:
    """The file with what a network needs, and nothing else.

    Raises:
        BundleBroken: not a TorchScript file.
        BundleUnsafe: it reaches files, or holds other objects than tensors and its own modules.
        BundleTooLarge: too many entries or bytes.
        NetworkNotAllowed: an operator that is not listed.
    """
    entries = Limits(
        archive_bytes=limits.archive_bytes, unpacked_bytes=limits.unpacked_bytes, entries=ENTRIES * limits.entries
    )
    files = {path: content for path, content in read_entries(data, entries).items() if _is_needed(path)}
    if len({path.split("/", 1)[0] for path in files}) != 1 or not any(path.endswith("/data.pkl") for path in files):
        raise BundleBroken("a TorchScript file is one folder with data.pkl")
    if sum(len(content) for path, content in files.items() if "/data/" in path) > 4 * limits.parameters:
        raise BundleTooLarge("a TorchScript file holds too many numbers", limit_parameters=limits.parameters)
    for suffix, check in ((".py", _check_source), (".pkl", _check_pickle)):
        contents = [content for path, content in files.items() if path.endswith(suffix)]
        if sum(map(len, contents)) > CODE_BYTES:
            raise BundleTooLarge("a TorchScript file holds too much code", limit_bytes=CODE_BYTES)
        for content in contents:
            check(content)
    return _packed(files)


def _is_needed(path: str) -> bool:
    """Not what helps a debugger, nor the images that it was traced with."""
    _, _, rest = path.partition("/")
    if rest in {"data.pkl", "constants.pkl", "version", "byteorder"} or rest.startswith(("data/", "constants/")):
        return True
    return rest.startswith("code/") and rest.endswith(".py")


def _packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, EPOCH), content)
    return buffer.getvalue()


def _check_source(source: bytes) -> None:
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as cause:
        raise BundleBroken("the code of a TorchScript file cannot be read") from cause
    inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            _check_chain(_chain(node))
        elif isinstance(node, ast.Name) and (node.id in NOT_CALLED or (node.id in NOT_NAMED and id(node) not in inner)):
            raise NetworkNotAllowed("operators of a TorchScript file are named where they are called")
        elif isinstance(node, ast.Constant) and node.value in FILES:
            raise BundleUnsafe("a TorchScript file reaches files")  # getattr(x, "save")


def _chain(node: ast.expr) -> list[str]:
    """`a.b.c` -> ["a", "b", "c"]; what is no name at its root is left out."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [*([node.id] if isinstance(node, ast.Name) else [""]), *reversed(names)]


def _check_chain(names: list[str]) -> None:
    root, rest = names[0], names[1:]
    if FILES & set(rest):
        raise BundleUnsafe("a TorchScript file reaches files")
    if "classes" in rest and "torch" in names:
        raise NetworkNotAllowed("a TorchScript file uses a class of another library")
    known = root not in {"torch", "ops"}
    known |= root == "torch" and rest[0] in OPERATORS | TYPES
    known |= root == "ops" and rest[0] == "prim" and set(rest[1:]) <= PRIMITIVES
    known |= root == "ops" and rest[0] == "aten" and set(rest[1:]) <= OPERATORS
    if not known:
        raise NetworkNotAllowed("an operator of a TorchScript file is not on the list")


def _check_pickle(data: bytes) -> None:
    """Its classes are its own modules and tensors. Read, never run."""
    for name in _classes(data):
        own = name.startswith("__torch__.") and ".classes." not in name
        if not own and name not in STORED and not name.startswith(TENSORS):
            raise BundleUnsafe("a TorchScript file holds more than tensors and its own modules")


def _classes(data: bytes) -> Iterator[str]:
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name in OTHER_WAYS:
                raise BundleUnsafe("a TorchScript file holds more than tensors and its own modules")
            if opcode.name == "GLOBAL":
                yield str(argument).replace(" ", ".")
    except (ValueError, IndexError, UnicodeError) as cause:
        raise BundleBroken("a TorchScript file cannot be read") from cause
