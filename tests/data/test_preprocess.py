"""What pictures become, and the text that says it."""

from __future__ import annotations

import numpy as np
import pytest

from graphopt.data.opening import open_data
from graphopt.data.preprocess import PRESETS, Preprocess, parse_preprocess
from graphopt.errors import UsageError
from tests.data.models import PICTURES, saved, taking, together

RNG = np.random.default_rng(0)
SHOTS = RNG.integers(256, size=(5, 8, 8, 3), dtype=np.uint8)


def fed(tmp_path, model, pictures, text):
    return together(open_data(saved(tmp_path / "d.npz", x=pictures), model, preprocess=text))[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raw", SHOTS),
        ("unit", SHOTS / 255),
        ("signed", SHOTS / 127.5 - 1),
        ("scale=1/255:mean=0.5", SHOTS / 255 - 0.5),
        ("unit:std=0.5+0.25+2", SHOTS / 255 / np.array([0.5, 0.25, 2])),
        ("imagenet", (SHOTS / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("raw:order=bgr", SHOTS[..., ::-1]),
        ("raw:order=bgr:mean=3+2+1", SHOTS[..., ::-1] - np.array([3.0, 2, 1])),
    ],
)
def test_pixels_become_numbers_channels_first(tmp_path, text, expected):
    feeds = fed(tmp_path, PICTURES, SHOTS, text)
    assert (feeds.dtype, feeds.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_allclose(feeds, np.moveaxis(expected, -1, 1), rtol=1e-5, atol=1e-5)


def test_the_layout_follows_from_the_input(tmp_path):
    last = taking(("image", ("n", 8, 8, 3)))
    np.testing.assert_array_equal(fed(tmp_path, last, SHOTS, "raw"), SHOTS)
    free = taking(("image", ("n", None, None, None)))
    with pytest.raises(
        UsageError, match=r"say where input 'image' .* has its channels, with layout=nchw or layout=nhwc"
    ):
        fed(tmp_path, free, SHOTS, "raw")
    np.testing.assert_array_equal(fed(tmp_path, free, SHOTS, "raw:layout=nhwc"), SHOTS)


def test_arrays_that_have_their_channels_first_keep_them_there(tmp_path):
    np.testing.assert_array_equal(fed(tmp_path, PICTURES, np.moveaxis(SHOTS, -1, 1), "raw"), np.moveaxis(SHOTS, -1, 1))


def test_grey_pictures_need_no_axis_for_their_channel(tmp_path):
    grey = taking(("image", ("n", 1, 8, 8)))
    np.testing.assert_array_equal(fed(tmp_path, grey, SHOTS[..., 0], "raw")[:, 0], SHOTS[..., 0])


def test_numbers_that_are_no_pictures_are_scaled(tmp_path):
    rows = np.arange(8.0).reshape(2, 4)
    feeds = fed(tmp_path, taking(("x", ("n", 4))), rows, "raw:scale=0.5")
    assert feeds.dtype == np.float32
    np.testing.assert_array_equal(feeds, rows / 2)


def test_of_several_inputs_only_pictures_are_preprocessed(tmp_path):
    model = taking(("image", ("n", 3, 8, 8)), ("scale", ("n", 2)))
    path = saved(tmp_path / "d.npz", image=SHOTS, scale=np.full((5, 2), 7, np.float32))
    (batch,) = open_data(path, model, preprocess="unit").batches()
    assert batch.feeds["image"].max() <= 1
    np.testing.assert_array_equal(batch.feeds["scale"], 7)


def test_a_model_of_bytes_is_fed_bytes(tmp_path):
    model = taking(("image", ("n", 3, 8, 8), np.uint8))
    feeds = fed(tmp_path, model, SHOTS, "raw:scale=2")
    assert feeds.dtype == np.uint8
    np.testing.assert_array_equal(feeds, np.moveaxis(np.minimum(SHOTS.astype(int) * 2, 255), -1, 1))


def test_pictures_of_another_size_are_cut_in_the_middle_and_resized(tmp_path):
    wide = np.zeros((1, 16, 32, 3), np.uint8)
    wide[:, :, 6:26] = 200  # the middle square, and what resizing sees beside it
    np.testing.assert_array_equal(fed(tmp_path, PICTURES, wide, "raw"), 200)
    whole = fed(tmp_path, PICTURES, wide, "raw:crop=none:resample=nearest")
    np.testing.assert_array_equal(whole[0, 0, 0], [0, 200, 200, 200, 200, 200, 0, 0])  # 2, 6, ... 30
    wide[:, 4:12, 12:20] = 100  # half of that square
    np.testing.assert_array_equal(fed(tmp_path, PICTURES, wide, "raw:crop=0.5"), 100)


@pytest.mark.parametrize(
    ("pictures", "text", "said"),
    [
        (SHOTS[..., :1], "raw", "pictures have 1 channels, input 'image' .* takes 3"),
        (SHOTS, "raw:mean=1+2", "mean has 2 numbers for 3 channels"),
        (SHOTS, "raw:size=9", "size 9x9 does not fit input 'image'"),
        (SHOTS[:, :4].astype(np.float32), "raw", "only pictures of uint8 can be resized to 8x8, found float32"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, pictures, text, said):
    with pytest.raises(UsageError, match=said):
        fed(tmp_path, PICTURES, pictures, text)


def test_pictures_without_a_preprocessing_are_not_guessed_at(tmp_path):
    with pytest.raises(
        UsageError, match=r"is uint8, input 'image' .* takes float32; save it so, or say what its numbers"
    ):
        fed(tmp_path, PICTURES, SHOTS, None)


@pytest.mark.parametrize("text", [*PRESETS, "imagenet:crop=0.875:size=224+192", "raw:crop=none", "unit:layout=nhwc"])
def test_a_preprocessing_prints_as_what_reads_as_the_same(text):
    assert parse_preprocess(str(parse_preprocess(text))) == parse_preprocess(text)


def test_a_size_of_one_number_is_square():
    assert parse_preprocess("unit:size=224").size == (224, 224)
    assert parse_preprocess("size=2+3") == Preprocess(size=(2, 3))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vgg", "there is no preprocessing 'vgg'; there are: raw, unit, signed, imagenet"),
        ("unit:colour=red", "'colour=red' is no option; there are: size, crop, scale, mean"),
        ("unit:mean", "'mean' is no option"),
        ("unit:mean=grey", "'grey' is no value for mean"),
        ("unit:scale=1/0", "'1/0' is no value for scale"),
        ("unit:size=1+2+3", "'1\\+2\\+3' is no value for size"),
        ("unit:size=0", "size must be a height and a width of at least 1"),
        ("unit:crop=1.5", "crop must be above 0 and at most 1, found 1.5"),
        ("unit:std=0", "std not 0"),
        ("unit:mean=nan", "finite numbers"),
        ("unit:layout=chw", "layout must be one of nchw, nhwc, found 'chw'"),
        ("unit:resample=best", "resample must be one of nearest"),
    ],
)
def test_texts_that_say_nothing(text, said):
    with pytest.raises(UsageError, match=said):
        parse_preprocess(text)
