import pytest

from passes.clean import unit_resize
from tests.support import fires, refuses


def resize(call, result="1, 2, 4, 4"):
    return f"""m (float[1, 2, 4, 4] x) => (float[{result}] y)
    <float[4] unit = {{1, 1, 1, 1}}, float[4] more = {{1, 1, 1.2, 1.2}}, int64[4] same = {{1, 2, 4, 4}},
     float[0] none = {{}}, float[8] crop = {{0, 0, 0, 0, 1, 1, 0.5, 0.5}}> {{
        r = Relu(x)
        y = {call}
    }}"""


@pytest.mark.parametrize(
    "call",
    [
        "Resize(r, , unit)",
        "Resize(r, none, unit)",
        "Resize(r, , , same)",
        'Resize<mode="linear", coordinate_transformation_mode="align_corners">(r, , unit)',
        'Resize<mode="cubic">(r, , , same)',
    ],
)
def test_scale_one(call):
    fires(unit_resize, resize(call), leaves=["Relu"])


@pytest.mark.parametrize(
    ("version", "call"), [(7, "Upsample<scales=[1.0, 1.0, 1.0, 1.0]>(r)"), (9, "Upsample(r, s)"), (10, "Resize(r, s)")]
)
def test_older_spellings(version, call):
    text = f"""<ir_version: 4, opset_import: ["" : {version}]>
    m (float[1, 2, 4, 4] x) => (float[1, 2, 4, 4] y) <float[4] s = {{1, 1, 1, 1}}> {{ r = Relu(x)  y = {call} }}"""
    fires(unit_resize, text, leaves=["Relu"])


def test_not_if_a_scale_only_rounds_to_the_same_size():
    refuses(unit_resize, resize('Resize<mode="linear">(r, , more)'), reason="scale is not 1")


def test_not_of_a_part():
    call = 'Resize<mode="linear", coordinate_transformation_mode="tf_crop_and_resize">(r, crop, unit)'
    refuses(unit_resize, resize(call), reason="moves pixels")


def test_not_if_the_size_is_unknown():
    text = "m (float[1, 2, H, W] x, int64[4] s) => (float[A, B, C, D] y) { r = Relu(x)  y = Resize(r, , , s) }"
    refuses(unit_resize, text, reason="unknown")
