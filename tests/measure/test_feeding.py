"""What models are fed: free dimensions, batches, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.errors import UsageError
from graphopt.ir.reader import load
from graphopt.measure.feeding import check_same, drawings, given
from tests.support import proto

TEXTS = {
    "pictures": "agraph (float[batch, 3, 8, 8] x) => (float[batch, 3, 8, 8] y) { y = Relu(x) }",
    "texts": "agraph (int64[n, sequence] ids, int64[n, sequence] mask) => (int64[n, sequence] y) {y = Add(ids, mask)}",
    "fixed": "agraph (float[2, 4] x) => (float[2, 4] y) { y = Relu(x) }",
    "sound": "agraph (float[time, batch] x, float[batch] s) => (float[time, batch] y) { y = Add(x, s) }",
    "none": "agraph (float x) => (float y) { y = Relu(x) }",
}


def model(name):
    return load(proto(TEXTS[name]))


def types(name, batch=None, **sizes):
    return drawings(model(name), batch, sizes, 0)[0].types


def test_one_sample_is_drawn_by_default():
    way = drawings(model("pictures"), None, {}, 0)[0]
    assert way.types == {"x": "float[1, 3, 8, 8]"}
    assert (way.samples, way.sizes, way.assumed) == (1, {"batch": 1}, ())
    assert way.feeds.draw()["x"].shape == (1, 3, 8, 8)


def test_a_batch_is_the_first_axis():
    assert types("pictures", 8) == {"x": "float[8, 3, 8, 8]"}
    assert types("texts", 8, sequence=5) == {"ids": "int64[8, 5]", "mask": "int64[8, 5]"}


def test_a_dimension_that_is_called_a_batch_is_one_wherever_it_is_a_first_axis():
    assert types("sound", 8, time=5) == {"x": "float[5, 8]", "s": "float[8]"}


def test_sizes_go_before_the_batch():
    (way,) = drawings(model("pictures"), None, {"batch": 4}, 0)
    assert way.types == {"x": "float[4, 3, 8, 8]"}


def test_sizes_that_nobody_gave_are_told_and_there_are_other_ways():
    ways = drawings(model("texts"), 2, {}, 0)
    assert all(way.assumed == ("sequence",) for way in ways)
    assert all(way.sizes["n"] == 2 for way in ways)
    assert len({way.sizes["sequence"] for way in ways}) > 1


def test_other_batches_come_last_and_only_where_none_is_asked_for():
    first, *_, last = drawings(model("pictures"), None, {}, 0)
    assert (first.assumed, last.assumed) == ((), ("batch",))
    assert last.samples > 1
    assert [way.samples for way in drawings(model("pictures"), 3, {}, 0)] == [3]


def test_a_size_for_what_is_not_free_is_refused():
    with pytest.raises(UsageError, match="no free dimension 'width'; it has batch"):
        types("pictures", width=3)


@pytest.mark.parametrize("name", ["fixed", "none"])
def test_a_model_without_free_dimensions_runs_as_it_is(name):
    (way,) = drawings(model(name), None, {}, 0)
    assert way.samples == {"fixed": 2, "none": 1}[name]


def test_a_batch_that_the_model_cannot_take_is_refused():
    assert types("fixed", 2) == {"x": "float[2, 4]"}
    with pytest.raises(UsageError, match=r"cannot run a batch of 8: input 'x' has the shape \[2, 4\]"):
        types("fixed", 8)


def test_inputs_that_no_machine_holds_are_refused():
    with pytest.raises(UsageError, match=r"would take 76\d\.\d GB"):
        types("pictures", 10**9)


def test_an_input_of_unknown_rank_needs_feeds():
    message = proto(TEXTS["fixed"])
    message.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(UsageError, match="--feeds"):
        drawings(
            load(proto("agraph (float x) => (float y) { y = Relu(x) }").__class__.FromString(unranked())), None, {}, 0
        )


def unranked():
    message = proto(TEXTS["fixed"])
    message.graph.input[0].type.tensor_type.ClearField("shape")
    return message.SerializeToString()


def test_given_inputs_bring_their_own_sizes():
    way = given(model("texts"), "mine", {"ids": np.ones((3, 7), np.int64), "mask": np.ones((3, 7), np.int64)}, None)
    assert (way.samples, way.sizes, way.assumed) == (3, {"n": 3, "sequence": 7}, ())


@pytest.mark.parametrize(("batch", "values"), [(2, [0, 1]), (5, [0, 1, 2, 0, 1])])
def test_samples_are_left_out_or_repeated_until_there_are_as_many(batch, values):
    feeds = {"x": np.broadcast_to(np.arange(3, dtype=np.float32).reshape(3, 1, 1, 1), (3, 3, 8, 8))}
    way = given(model("pictures"), "mine", feeds, batch)
    assert way.samples == batch
    np.testing.assert_array_equal(way.feeds["x"][:, 0, 0, 0], values)


def test_given_inputs_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match=r"mine: input 'x' must be float, found float64"):
        given(model("pictures"), "mine", {"x": np.ones((1, 3, 8, 8))}, None)
    with pytest.raises(UsageError, match=r"mine: input 'x' must have shape .* found \[1, 3, 8\]"):
        given(model("pictures"), "mine", {"x": np.ones((1, 3, 8), np.float32)}, None)
    with pytest.raises(UsageError, match="holds no samples"):
        given(model("pictures"), "mine", {"x": np.ones((0, 3, 8, 8), np.float32)}, 2)


def test_models_with_other_inputs_cannot_be_measured_together():
    first = model("pictures")
    way = drawings(first, None, {}, 0)[0]
    check_same(first, model("pictures"), way)
    with pytest.raises(UsageError, match="has no array 'ids'"):
        check_same(first, model("texts"), way)
    with pytest.raises(UsageError, match=r"must have shape \[2, 4\]"):
        check_same(first, model("fixed"), way)
