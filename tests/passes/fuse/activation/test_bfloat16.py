"""bfloat16 has few CPU kernels, so nothing can be verified there; the operators' schemas still decide."""

from __future__ import annotations

import pytest

import graphopt
from passes.fuse.activation import gelu, hard_swish, mish
from passes.fuse.norm import layer_norm, rms_norm
from tests.passes.fuse.activation.test_gelu import PYTORCH as GELU
from tests.passes.fuse.activation.test_hard import SWISH
from tests.passes.fuse.activation.test_smooth import MISH
from tests.passes.fuse.norm.test_layer_norm import BARE as LAYER_NORM
from tests.passes.fuse.norm.test_rms_norm import BARE as RMS_NORM
from tests.passes.fuse.spelling import spelled
from tests.support import operators, proto, refuses

DEFINED = [
    (gelu, GELU, "Gelu", 20),
    (hard_swish, SWISH[0], "HardSwish", 22),
    (mish, MISH[0], "Mish", 22),
    (layer_norm, LAYER_NORM[0], "LayerNormalization", 18),
    (rms_norm, RMS_NORM, "RMSNormalization", 23),
]


@pytest.mark.parametrize(("rule", "body", "operator", "opset"), DEFINED)
def test_fire_where_the_operator_is_defined(rule, body, operator, opset):
    model = proto(spelled(body, x="bfloat16[n, 8]", opset=opset))
    result = graphopt.optimize(model, passes=[rule], verify="structure")
    assert operators(result.model) == {operator: 1}


def test_refuse_where_it_is_not():
    refuses(hard_swish, spelled(SWISH[0], x="bfloat16[n, 8]"), reason="not defined on bfloat16 at opset 21")
