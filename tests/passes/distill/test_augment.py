"""Pictures are changed, each in its own way, and stay pictures."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="distill needs torch")

from graphopt.errors import UsageError
from passes.distill.augment import CHANGES, augmented
from passes.distill.settings import AUGMENTATIONS


def drawn(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


PICTURES = torch.arange(8 * 3 * 16 * 8, dtype=torch.float32).reshape(8, 3, 16, 8)


def test_the_names_are_those_of_the_options():
    assert tuple(CHANGES) == AUGMENTATIONS


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shapes_stay_and_the_seed_decides(name):
    first, again, other = (augmented({"x": PICTURES}, [name], drawn(seed))["x"] for seed in (0, 0, 1))
    assert first.shape == PICTURES.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first, PICTURES)


def test_a_flip_turns_some_pictures_left_to_right():
    found = augmented({"x": PICTURES}, ["flip"], drawn())["x"]
    kinds = [
        torch.equal(new, old) + 2 * torch.equal(new, old.flip(-1)) for new, old in zip(found, PICTURES, strict=True)
    ]
    assert set(kinds) == {1, 2}


def test_a_crop_moves_a_picture_by_at_most_an_eighth():
    found = augmented({"x": PICTURES}, ["crop"], drawn())["x"]
    inner = found[:, :, 2:-2, 1:-1]
    for new, old in zip(inner, PICTURES, strict=True):
        places = [(r, c) for r in range(5) for c in range(3) if torch.equal(new, old[:, r : r + 12, c : c + 6])]
        assert len(places) == 1


def test_some_pictures_become_mixtures_that_lie_between_two_neighbours():
    found = augmented({"x": PICTURES}, ["mixup"], drawn())["x"]
    assert {torch.equal(new, old) for new, old in zip(found, PICTURES, strict=True)} == {True, False}
    low, high = torch.minimum(PICTURES, PICTURES.roll(1, 0)), torch.maximum(PICTURES, PICTURES.roll(1, 0))
    assert bool(((found >= low - 1e-3) & (found <= high + 1e-3)).all())


def test_channels_may_come_last():
    last = PICTURES.movedim(1, -1)
    found = augmented({"x": last}, ["flip"], drawn())["x"]
    torch.testing.assert_close(found.movedim(-1, 1), augmented({"x": PICTURES}, ["flip"], drawn())["x"])


def test_other_inputs_are_left_alone_and_pictures_there_must_be():
    tokens = torch.arange(6).reshape(2, 3)
    assert augmented({"x": PICTURES, "t": tokens}, ["flip"], drawn())["t"] is tokens
    with pytest.raises(UsageError, match="pictures"):
        augmented({"t": tokens}, ["flip"], drawn())
