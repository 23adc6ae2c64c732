"""How operators that changed are spelled in the version that changed them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto, helper
from onnx.defs import get_schema
from onnx.shape_inference import infer_node_outputs

from graphopt.ir.dtypes import HALVES
from graphopt.numerics.contract import Close
from passes.opset.call import Call

Adapter = Callable[[Call], None]
LARGEST = float(np.finfo(np.float32).max)


# ---- arithmetic ----


def broadcast(call: Call) -> None:
    """`broadcast` and `axis` say how the second operand fits the first; later both fit as in NumPy."""
    explicit, axis = call.attrs.pop("broadcast", 0), call.attrs.pop("axis", None)
    if not explicit or axis is None:
        return
    rank, inner = len(call.shape(0)), len(call.shape(1))
    missing = rank - axis % rank - inner
    if missing > 0 and inner:
        call.prepare(1, "Reshape", np.array([0] * inner + [1] * missing, np.int64))


def gemm(call: Call) -> None:
    """C fits as in NumPy, with and without `broadcast`."""
    call.attrs.pop("broadcast", None)


def prelu(call: Call) -> None:
    """One slope for each channel; later the slope fits as in NumPy."""
    spatial, slope = len(call.shape(0)) - 2, call.shape(1)
    if slope and slope != (1,) and spatial > 0:
        call.prepare(1, "Reshape", np.array([-1] + [1] * spatial, np.int64))


def range_stash(call: Call) -> None:
    """Later it counts in float, whatever the type."""
    if call.dtype() in HALVES:
        call.refuse("the newer Range counts in float, not in the half type")


# ---- arguments ----


def arguments(*names: str) -> Adapter:
    """Attributes that become int64 inputs, in this order, from the second input on."""

    def adapt(call: Call) -> None:
        for at, name in enumerate(names, 1):
            call.move(name, at)

    return adapt


def reduction(call: Call) -> None:
    """Axes become an input; no axes are all axes."""
    if not call.attrs.get("axes"):
        call.attrs.pop("axes", None)
    call.move("axes", 1)


def top_k(call: Call) -> None:
    """`k` becomes an input of one element."""
    call.attrs["k"] = [call.attrs["k"]]
    call.move("k", 1)


def split_input(call: Call) -> None:
    """The sizes, an optional input at first, become an attribute; the axis has a default."""
    if call.has(1):
        call.attrs["split"] = call.values(1).reshape(-1).tolist()
    call.inputs[1:] = []
    call.attrs.setdefault("axis", 0)


def split_count(call: Call) -> None:
    """Without sizes, the number of parts must be said."""
    if not call.has(1):
        call.inputs[1:] = []
        call.attrs["num_outputs"] = len(call.node.outputs)


def pad_name(call: Call) -> None:
    """`paddings` is called `pads`."""
    call.attrs["pads"] = call.attrs.pop("paddings")


def pad(call: Call) -> None:
    """Pads and the value become inputs."""
    call.move("pads", 1)
    if call.attrs.get("value", 0.0) == 0.0:
        call.attrs.pop("value", None)
    call.move("value", 2, call.dtype() if "value" in call.attrs else None)


def clip_infinite(call: Call) -> None:
    """Absent limits were no limits; later they are the largest floats."""
    call.attrs.setdefault("min", -math.inf)
    call.attrs.setdefault("max", math.inf)


def clip(call: Call) -> None:
    """Limits become inputs of the tensor's own type; the default ones are those of float."""
    dtype = call.dtype()
    limits = [call.attrs.pop(name, default) for name, default in (("min", -LARGEST), ("max", LARGEST))]
    for at, limit in enumerate(limits, 1):
        if dtype != np.float32 or abs(limit) != LARGEST:
            call.put(at, np.array(limit).astype(dtype))


def tile(call: Call) -> None:
    """One axis and how often it is repeated become repeats of all axes."""
    rank, tiles, axis = len(call.shape()), call.values(1), call.values(2)
    repeats = np.ones(rank, np.int64)
    repeats[int(axis.reshape(-1)[0])] = int(tiles.reshape(-1)[0])
    call.inputs[1:] = []
    call.put(1, repeats)


def dft(call: Call) -> None:
    """The axis becomes an input."""
    call.attrs.setdefault("axis", 1)
    call.move("axis", 2)


# ---- types and names ----


def cast(call: Call) -> None:
    """The type is a number, not a name."""
    name = call.attrs["to"]
    call.attrs["to"] = TensorProto.DataType.Value(name if isinstance(name, str) else name.decode())


def scatter(call: Call) -> None:
    """Scatter is called ScatterElements."""
    call.op = "ScatterElements"


def grid_sample(call: Call) -> None:
    """Interpolations have other names."""
    names = {"bilinear": "linear", "bicubic": "cubic"}
    if "mode" in call.attrs:
        call.attrs["mode"] = names.get(call.attrs["mode"], call.attrs["mode"])


def integer_p(call: Call) -> None:
    """`p` is an integer."""
    p = call.attrs.get("p", 2.0)
    if p != int(p):
        call.refuse(f"p is {p}, and must be an integer later")
    call.attrs["p"] = int(p)


def default(**values: Any) -> Adapter:
    """Attributes whose defaults change are said."""

    def adapt(call: Call) -> None:
        for name, value in values.items():
            call.attrs.setdefault(name, value)

    return adapt


def without(name: str) -> Adapter:
    """An attribute that had no effect goes."""

    def adapt(call: Call) -> None:
        call.attrs.pop(name, None)

    return adapt


# ---- inference and training ----


def test_mode(call: Call) -> None:
    """`is_test` goes; training cannot be said any more."""
    if not call.attrs.pop("is_test", 0):
        call.refuse("it is in training mode")


def batch_norm_spatial(call: Call) -> None:
    """Statistics are those of channels."""
    if not call.attrs.pop("spatial", 1):
        call.refuse("it normalises every element on its own, which newer versions cannot")


def batch_norm_outputs(call: Call) -> None:
    """The mode is an attribute; before, more outputs than one meant training."""
    if any(call.used(at) for at in range(1, 5)):
        call.refuse("it is in training mode")
    call.outputs = call.outputs[:1]


def dropout_mask(call: Call) -> None:
    """The mask is boolean."""
    if call.used(1):
        call.refuse("its mask has another type later")


def dropout(call: Call) -> None:
    """The ratio becomes an input; the mask is True where nothing is dropped, which was not said before."""
    if call.used(1):
        call.refuse("its mask has other values later")
    call.move("ratio", 1, np.float32)


# ---- normalisation ----


def softmax(call: Call) -> None:
    """All axes from `axis` on counted as one; later it is one axis."""
    shape = call.shape()
    axis = call.attrs.get("axis", 1)
    axis += len(shape) if axis < 0 else 0
    call.attrs["axis"] = axis
    if all(dim == 1 for dim in shape[axis + 1 :]) and axis < len(shape):
        return
    lengths = call.prepared("Shape", call.inputs[0])
    call.prepare(0, "Flatten", axis=axis)
    call.attrs["axis"] = 1
    call.finish("Reshape", lengths)


def group_norm(call: Call) -> None:
    """Scale and bias have one number for each channel, not for each group."""
    channels, groups = call.shape()[1], call.attrs["num_groups"]
    if not isinstance(channels, int):
        call.refuse("the number of channels is unknown")
    for at in (1, 2):
        call.prepare(at, "Reshape", np.array([groups, 1], np.int64))
        call.prepare(at, "Expand", np.array([groups, channels // groups], np.int64))
        call.prepare(at, "Reshape", np.array([channels], np.int64))


# ---- windows ----


def windows(call: Call) -> None:
    """Windows that begin behind the last element count no more, with `ceil_mode`, in the shape of the result."""
    shape = call.shapes.shape(call.inputs[0])
    if not call.attrs.get("ceil_mode", 0) or shape is None:
        return
    node = helper.make_node(call.op, ["x"], ["y"], **call.attrs)
    given = {"x": helper.make_tensor_type_proto(TensorProto.FLOAT, shape)}
    old, new = (infer_node_outputs(get_schema(call.op, version), node, given)["y"] for version in (21, 22))
    if old != new:
        call.refuse("ceil_mode counts a window that begins behind the last element, which newer versions leave out")


# ---- resizing ----


def upsample_scales(call: Call) -> None:
    """Height and width are two of the scales."""
    call.attrs["scales"] = [1.0, 1.0, call.attrs.pop("height_scale"), call.attrs.pop("width_scale")]


def upsample_input(call: Call) -> None:
    """The scales become an input."""
    call.move("scales", 1, np.float32)


def upsample(call: Call) -> None:
    """Upsample is a Resize."""
    call.op = "Resize"
    if call.attrs.get("mode") == "bilinear":
        call.attrs["mode"] = "linear"


def resize(call: Call) -> None:
    """Where pixels lie, and which is the nearest, must be said."""
    scales = call.inputs[1]
    nearest = call.attrs.get("mode", "nearest") == "nearest"
    if nearest and (call.values(1) < 1).any():
        call.refuse("it makes the tensor smaller, and the nearest pixel is another one later")
    call.attrs |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    call.put(1, np.zeros(0, np.float32))
    call.put(2, scales)


def resize_optional(call: Call) -> None:
    """Arguments that are empty can be omitted, and scales that are not used must be."""
    if call.attrs.get("coordinate_transformation_mode") == "tf_half_pixel_for_nn":
        call.refuse("tf_half_pixel_for_nn does not exist any more")
    for at in (1, 2):
        if call.has(at) and call.shapes.shape(call.inputs[at]) == (0,):
            call.put(at, type(call.node.inputs[0]).empty())


ARITHMETIC = "Add Sub Mul Div And Or Xor Equal Greater Less Pow"
REDUCTIONS = "L1 L2 LogSum LogSumExp Max Mean Min Prod SumSquare"

ADAPTERS: dict[tuple[str, int], Adapter] = {
    **{(op, 7): broadcast for op in ARITHMETIC.split()},
    **{("Reduce" + name, 18): reduction for name in REDUCTIONS.split()},
    **{(op, 13): softmax for op in ("Softmax", "LogSoftmax", "Hardmax")},
    **{(op, 7): without("output_sequence") for op in ("GRU", "LSTM", "RNN")},
    **{(op, 2): integer_p for op in ("LpPool", "GlobalLpPool")},
    **{(op, 22): windows for op in ("AveragePool", "LpPool", "MaxPool")},
    ("BatchNormalization", 7): test_mode,
    ("BatchNormalization", 9): batch_norm_spatial,
    ("BatchNormalization", 14): batch_norm_outputs,
    ("Cast", 6): cast,
    ("Clip", 6): clip_infinite,
    ("Clip", 11): clip,
    ("Concat", 4): default(axis=1),
    ("DFT", 20): dft,
    ("Dropout", 7): test_mode,
    ("Dropout", 10): dropout_mask,
    ("Dropout", 12): dropout,
    ("GRU", 3): default(direction="forward"),
    ("Gemm", 7): gemm,
    ("GridSample", 20): grid_sample,
    ("GroupNormalization", 21): group_norm,
    ("PRelu", 7): prelu,
    ("Pad", 2): pad_name,
    ("Pad", 11): pad,
    ("Range", 27): range_stash,
    ("ReduceSum", 13): reduction,
    ("Reshape", 5): arguments("shape"),
    ("Resize", 11): resize,
    ("Resize", 13): resize_optional,
    ("RoiAlign", 16): default(coordinate_transformation_mode="output_half_pixel"),
    ("Scatter", 11): scatter,
    ("Selu", 6): default(alpha=1.6732, gamma=1.0507),
    ("Slice", 10): arguments("starts", "ends", "axes"),
    ("Split", 2): split_input,
    ("Split", 13): arguments("split"),
    ("Split", 18): split_count,
    ("Squeeze", 13): arguments("axes"),
    ("Tile", 6): tile,
    ("TopK", 10): top_k,
    ("Unsqueeze", 13): arguments("axes"),
    ("Upsample", 7): upsample_scales,
    ("Upsample", 9): upsample_input,
    ("Upsample", 10): upsample,
}
"""What to do with an operator at the version that changed it."""

OTHER_KERNELS = {("AveragePool", 19): Close(16)}
"""Where the definition stays, but ONNX Runtime's newer kernel adds up in another order."""

REFUSED = {("Scan", 9): "the batches of the first Scan have no counterpart"}
"""What cannot be done."""
