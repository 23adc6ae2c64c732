"""The scheme that suits a target, a network and the data that there is: a table, and how a network is classified."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from graphopt.analysis.cost import macs
from graphopt.ir import walk
from graphopt.ir.types import Node
from graphopt.ir.values import constant
from graphopt.pipeline.context import Context
from passes.quant.processor import integers_of
from passes.quant.schemes import SCHEMES

LARGE = 1 << 30
"""Bytes of weights from which on a network of matrices is bound by reading them."""


class Kind(StrEnum):
    """What most of a network's multiplications are."""

    CONVOLUTIONS = "convolutions"
    LARGE = "matrices of more than a gigabyte"
    ATTENTION = "matrices around attention or normalised activations"
    MATRICES = "matrices"
    NOTHING = "nothing that has weights"


@dataclass(frozen=True)
class Choice:
    """What suits a kind of network.

    schemes: the best first; those that are not there, or that the target does not run, are passed over. data: whether
    there must be calibration data; None if it does not matter.
    """

    kind: Kind
    schemes: tuple[str, ...]
    why: str
    data: bool | None = None


TABLE = (
    Choice(
        Kind.CONVOLUTIONS,
        ("static", "int8"),
        "their integer kernels are fast with calibrated activations",
        data=True,
    ),
    Choice(
        Kind.CONVOLUTIONS,
        ("int8", "dynamic"),
        "without calibration data (--calibration) activations stay float, so the file is smaller, but not faster",
        data=False,
    ),
    Choice(Kind.LARGE, ("int4", "int8", "dynamic"), "their speed is that of reading the weights"),
    Choice(
        Kind.ATTENTION,
        ("dynamic", "int8"),
        "their activations differ too much between inputs for fixed ranges",
    ),
    Choice(
        Kind.MATRICES,
        ("static", "dynamic", "int8"),
        "calibrated activations stay in integers between them",
        data=True,
    ),
    Choice(Kind.MATRICES, ("dynamic", "int8"), "there is no calibration data (--calibration)", data=False),
)


def choose(context: Context) -> tuple[str | None, str]:
    """The name of a scheme, and why; None where none suits."""
    kind = classify(context)
    data = context.calibration is not None
    for choice in TABLE:
        if choice.kind is kind and choice.data in (None, data):
            for name in choice.schemes:
                if name in SCHEMES and _runs(context, name):
                    return name, f"most of its multiplications are {kind}, and {choice.why}"
    return None, f"the model multiplies with {kind}, and no scheme for the target {context.target} suits that"


def _runs(context: Context, scheme: str) -> bool:
    return scheme not in ("static", "dynamic") or bool(integers_of(context.target).kernels)


def classify(context: Context) -> Kind:
    """What most multiplications of the model are."""
    work: Counter[str] = Counter()
    normal, weights = False, 0
    for node in walk.nodes(context.model.graph):
        normal = normal or _normalises(node)
        held = [constant(tensor) for tensor in node.inputs]
        weights += sum(one.nbytes for one in held if one is not None)
        if any(one is not None and len(one.shape) > 1 for one in held):
            done = macs(node, context.bound[0])
            work["Conv" if "Conv" in node.op else "MatMul"] += done if isinstance(done, int) else 1
    if not work.total():
        return Kind.NOTHING
    if work["Conv"] * 2 >= work.total():
        return Kind.CONVOLUTIONS
    if weights >= LARGE:
        return Kind.LARGE
    return Kind.ATTENTION if normal else Kind.MATRICES


def _normalises(node: Node) -> bool:
    """Whether it is what transformers are made of; the Softmax of a classifier, which nothing reads, is not."""
    return node.op.endswith(("LayerNormalization", "Attention", "Softmax")) and any(
        tensor.outputs for tensor in node.outputs
    )
