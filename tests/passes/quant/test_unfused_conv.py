"""FusedConv taken apart."""

import pytest

from passes.quant.unfused_conv import unfused_conv
from tests.passes.quant.nets import executed, quantised, samples, saved
from tests.support import fires, proto, refuses

HEAD = '<ir_version: 10, opset_import: ["" : {opset}, "com.microsoft" : 1]>\n'
WEIGHTS = {"w": (4, 3, 3, 3), "b": (4,)}


def net(attributes, operands="x, w, b", opset=17, more=""):
    return (
        HEAD.format(opset=opset)
        + f"g (float[1, 3, 6, 6] x{more}) => (float[1, 4, 4, 4] y) "
        + f"{{ y = com.microsoft.FusedConv <{attributes}> ({operands}) }}"
    )


@pytest.mark.parametrize(
    ("attributes", "after"),
    [
        ('activation = "Relu"', ["Relu"]),
        ('activation = "Sigmoid"', ["Sigmoid"]),
        ('activation = "Clip", activation_params = [0.0, 6.0]', ["Clip"]),
        ('activation = "LeakyRelu", activation_params = [0.2]', ["LeakyRelu"]),
        ('activation = "HardSigmoid", activation_params = [0.1, 0.4]', ["HardSigmoid"]),
    ],
)
def test_fires_on_every_activation(attributes, after):
    fires(unfused_conv, net(attributes), WEIGHTS, leaves=["Conv", *after])


def test_fires_on_a_summand():
    text = net('activation = "Relu"', "x, w, b, z", more=", float[1, 4, 4, 4] z")
    fires(unfused_conv, text, WEIGHTS, leaves=["Conv", "Add", "Relu"])


def test_fires_without_a_bias():
    fires(unfused_conv, net('activation = "Relu"', "x, w"), WEIGHTS | {"b": (1,)}, leaves=["Conv", "Relu"])


def test_refuses_bounds_that_are_no_operands():
    clip = 'activation = "Clip", activation_params = [0.0, 6.0]'
    refuses(unfused_conv, net(clip, opset=10), WEIGHTS, reason="as attributes")
    fires(unfused_conv, net(clip, opset=11), WEIGHTS, leaves=["Conv", "Clip"])


def test_what_the_pass_blocks_wrote_is_quantised(tmp_path):
    model = proto(
        net('activation = "Relu"').replace("float[1, 3", "float[N, 3").replace("float[1, 4", "float[N, 4"), WEIGHTS
    )
    found = executed(quantised(model, saved(tmp_path, x=samples((4, 3, 6, 6)))).model)
    assert found["QLinearConv"] == 1
    assert not {"Conv", "FusedConv"} & found.keys()
