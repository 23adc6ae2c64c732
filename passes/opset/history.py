"""Which operators change between two versions of ai.onnx, and whether that needs anything."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from onnx import defs

NEWEST: int = defs.onnx_opset_version()

_REVIEWED = """
Abs 13  Add 14  ArgMax 11 12 13  ArgMin 11 12 13  Attention 24 25  AveragePool 7 10 11 19
BatchNormalization 6 15  BitShift 28  Cast 9 13 19 24  CastLike 19 24  Ceil 13  Clip 13  Concat 11
Constant 11 12  ConvTranspose 11  DepthToSpace 11 13  DequantizeLinear 13 19 21 23  Div 6 14  Floor 13  GRU 14
Gather 11 13  GatherElements 13  GatherND 12 13  Gemm 11 13  Hardmax 11  LRN 13  LSTM 14  LogSoftmax 11
Loop 11 13 16  LpPool 18  Max 8  MaxPool 8 10 12  Mean 8  MeanVarianceNormalization 13  Min 8  Mod 13 28
Mul 14  NegativeLogLikelihoodLoss 13  OneHot 11  OptionalGetElement 18  OptionalHasElement 18  PRelu 16
Pad 13 18 19  QuantizeLinear 13 19 21 23 25  RNN 14  ReduceL1 11 13  ReduceL2 11 13  ReduceLogSum 11 13
ReduceLogSumExp 11 13  ReduceMax 12 13 20  ReduceMean 11 13  ReduceMin 12 13 20  ReduceProd 11 13  ReduceSum 11
ReduceSumSquare 11 13  Reshape 14  Resize 18 19  ScatterElements 16 18  ScatterND 16 18  Shape 15  Slice 11 13
Softmax 11  SoftmaxCrossEntropyLoss 13  SpaceToDepth 28  Sub 14  Sum 8  TopK 11  Unsqueeze 11
"""
"""Changes that were read one by one: new words, new optional arguments whose default is what was before, or a
meaning for what had none. Nodes that pass them are run in both versions and compared."""


@cache
def _versions() -> dict[str, dict[int, Any]]:
    found: dict[str, dict[int, Any]] = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            found.setdefault(schema.name, {})[schema.since_version] = schema
    return {op: dict(sorted(versions.items())) for op, versions in found.items()}


def schema(op: str, version: int) -> Any:
    """The definition of an operator in this version; None if there is none, or if it is deprecated."""
    known = [held for since, held in _versions().get(op, {}).items() if since <= version]
    return known[-1] if known and not known[-1].deprecated else None


def exists(op: str, version: int) -> bool:
    """Whether this version has the operator, deprecated or not."""
    return any(since <= version for since in _versions().get(op, {}))


def next_change(op: str, version: int, target: int) -> int | None:
    """The first version after `version`, up to `target`, that changes the operator; None if none does."""
    return next((since for since in _versions().get(op, {}) if version < since <= target), None)


def changes() -> Iterator[tuple[str, int]]:
    """Every operator with every version that changes it."""
    for op, versions in _versions().items():
        yield from ((op, since) for since in list(versions)[1:])


@cache
def reviewed() -> frozenset[tuple[str, int]]:
    """The changes that leave the spelling as it was."""
    found: set[tuple[str, int]] = set()
    op = ""
    for word in _REVIEWED.split():
        op = op if word.isdigit() else word
        found |= {(op, int(word))} if word.isdigit() else set()
    return frozenset(found)


def only_gains_types(op: str, version: int) -> bool:
    """Whether the version leaves the operator as it was, but for element types and a hint about memory."""
    versions = _versions()[op]
    before, after = versions[max(since for since in versions if since < version)], versions[version]
    return not after.deprecated and before.doc == after.doc and _form(before) == _form(after)


def _form(definition: Any) -> Any:
    attributes = {
        name: (attribute.type, attribute.required, attribute.default_value.SerializeToString())
        for name, attribute in definition.attributes.items()
        if name != "consumed_inputs"
    }
    inputs, outputs = (
        [(one.option, one.is_homogeneous) for one in side] for side in (definition.inputs, definition.outputs)
    )
    return attributes, inputs, outputs


def takes(definition: Any, position: int, text: str) -> bool:
    """Whether an input may have a type such as `tensor(float)`."""
    formal = definition.inputs[min(position, len(definition.inputs) - 1)]
    allowed = {entry.type_param_str: entry.allowed_type_strs for entry in definition.type_constraints}
    return text in allowed.get(formal.type_str, [formal.type_str])
