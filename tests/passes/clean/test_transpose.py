from passes.clean import identity_transpose, transpose_chain
from tests.support import fires, refuses


def test_every_axis_stays():
    text = "m (float[N, 3, 4] x) => (float[N, 3, 4] y) { r = Relu(x)  y = Transpose<perm=[0, 1, 2]>(r) }"
    fires(identity_transpose, text, leaves=["Relu"])


def test_of_a_vector():
    fires(identity_transpose, "m (float[N] x) => (float[N] y) { r = Relu(x)  y = Transpose(r) }", leaves=["Relu"])


def test_not_if_axes_move():
    text = "m (float[3, 3] x) => (float[3, 3] y) { r = Relu(x)  y = Transpose<perm=[1, 0]>(r) }"
    refuses(identity_transpose, text, reason="moves axes")


def test_not_if_the_default_reverses():
    text = "m (float[3, 3] x) => (float[3, 3] y) { r = Relu(x)  y = Transpose(r) }"
    refuses(identity_transpose, text, reason="reverses")


def chain(first, second):
    return f"""m (float[2, 3, 4] x) => (float[A, B, C] y)
        {{ r = Relu(x)  a = Transpose{first}(r)  y = Transpose{second}(a) }}"""


def test_two_are_one():
    model = fires(transpose_chain, chain("<perm=[1, 2, 0]>", "<perm=[0, 2, 1]>"), leaves=["Relu", "Transpose"])
    assert model.graph.nodes[-1].attrs["perm"] == [1, 0, 2]


def test_two_cancel():
    fires(transpose_chain, chain("<perm=[1, 2, 0]>", "<perm=[2, 0, 1]>"), leaves=["Relu"])


def test_two_defaults_cancel():
    fires(transpose_chain, chain("", ""), leaves=["Relu"])


def test_a_default_and_a_permutation():
    model = fires(transpose_chain, chain("", "<perm=[1, 0, 2]>"), leaves=["Relu", "Transpose"])
    assert model.graph.nodes[-1].attrs["perm"] == [1, 2, 0]


def test_two_that_cancel_from_input_to_output_are_one():
    text = "m (float[2, 3] x) => (float[2, 3] y) { a = Transpose(x)  y = Transpose(a) }"
    fires(transpose_chain, text, leaves=["Transpose"])


def test_cancels_though_the_first_has_other_readers():
    text = """m (float[2, 3] x) => (float[2, 3] y, float[3, 2] z) {
        r = Relu(x)
        a = Transpose(r)
        b = Transpose(a)
        y = Abs(b)
        z = Neg(a)
    }"""
    fires(transpose_chain, text, leaves=["Relu", "Transpose", "Abs", "Neg"])


def test_not_composed_if_the_first_has_other_readers():
    text = """m (float[2, 3, 4] x) => (float[2, 4, 3] y, float[3, 4, 2] z) {
        a = Transpose<perm=[1, 2, 0]>(x)
        y = Transpose<perm=[2, 1, 0]>(a)
        z = Neg(a)
    }"""
    refuses(transpose_chain, text, reason="other readers")


def test_not_if_the_first_is_returned():
    text = """m (float[2, 3, 4] x) => (float[2, 4, 3] y, float[3, 4, 2] a) {
        a = Transpose<perm=[1, 2, 0]>(x)
        y = Transpose<perm=[2, 1, 0]>(a)
    }"""
    refuses(transpose_chain, text, reason="other readers")


def test_not_composed_if_the_number_of_axes_is_unknown():
    text = "m (float[N] z, int64[K] s) => (y) { x = Reshape(z, s)  a = Transpose(x)  y = Transpose(a) }"
    refuses(transpose_chain, text, reason="the number of axes is unknown")
