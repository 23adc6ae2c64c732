"""The table of element types is the format's own, whole, and one to one."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper

from graphopt.ir import dtypes

TYPES = {name: code for name, code in TensorProto.DataType.items() if code != TensorProto.UNDEFINED}


@pytest.mark.parametrize("name", TYPES)
def test_every_element_type_has_one_dtype(name):
    dtype = dtypes.numpy_dtype(TYPES[name])
    assert dtype == helper.tensor_dtype_to_np_dtype(TYPES[name])
    assert dtypes.elem_type(dtype) == TYPES[name]
    assert dtypes.name(dtype) == name.lower()


def test_packed_types_take_their_bits():
    assert [dtypes.bits(dtypes.numpy_dtype(TYPES[name])) for name in ("FLOAT", "INT4", "UINT2", "BFLOAT16")] == [
        32,
        4,
        2,
        16,
    ]
