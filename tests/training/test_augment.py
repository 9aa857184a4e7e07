import numpy as np
import pytest
import torch

from busi_model.training.fitting.augment import AugmentConfig, Augmenter
from busi_model.training.fitting.drawn_marks import draw_marks

STILL = {field: 0.0 for field in AugmentConfig.__dataclass_fields__}


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _pictures(n=6, size=64):
    images = torch.full((n, size, size), 100, dtype=torch.uint8)
    masks = torch.zeros(n, size, size, dtype=torch.uint8)
    images[:, 20:40, 10:30] = 200
    masks[:, 20:40, 10:30] = 255
    return images, masks


def test_without_ranges_only_mirroring_is_left():
    images, masks = _pictures()
    found, mask = Augmenter(64, AugmentConfig(**STILL))(images, masks, _generator())
    mirrored = 0
    for i in range(len(images)):
        flip = not torch.allclose(found[i, 0], images[i].float(), atol=0.1)
        mirrored += flip
        expected = (images[i].flip(-1), masks[i].flip(-1)) if flip else (images[i], masks[i])
        torch.testing.assert_close(found[i, 0], expected[0].float(), rtol=0, atol=0.1)
        torch.testing.assert_close(mask[i, 0], expected[1] / 255.0, rtol=0, atol=1e-3)
    assert 0 < mirrored < len(images)


def test_image_and_mask_move_together():
    images, masks = _pictures(16)
    geometry = STILL | {"rotation_deg": 20.0, "zoom": 0.3, "aspect": 0.2, "shift": 0.1}
    found, mask = Augmenter(64, AugmentConfig(**geometry))(images, masks, _generator(1))
    bright = found[:, 0] > 150
    inside = mask[:, 0] > 0.5
    dice = 2 * (bright & inside).sum(dim=(1, 2)) / (bright.sum(dim=(1, 2)) + inside.sum(dim=(1, 2)))
    assert (dice > 0.95).all()
    assert inside.sum(dim=(1, 2)).float().std() > 20  # they did move


def test_a_narrower_view_is_a_band_with_the_lesion_in_it():
    images, masks = _pictures(64)
    images[:, :, 60:] = 90  # beside the lesion, at the border
    found, mask = Augmenter(64, AugmentConfig(**STILL | {"narrow_probability": 1.0}))(images, masks, _generator(1))
    seen = found[:, 0] > 20
    columns, rows = seen.any(dim=1).sum(dim=1), seen.any(dim=2).sum(dim=1)
    assert (seen.sum(dim=(1, 2)) == columns * rows).all()  # a rectangle
    shortest = torch.minimum(columns, rows)
    assert (torch.maximum(columns, rows) >= 60).all() and (shortest >= 30).all() and shortest.min() < 40
    assert (mask.sum(dim=(1, 2, 3)) > 200).all()  # of 400 pixels; closer makes them more
    assert (mask[:, 0][~seen] == 0).all()
    assert 0.5 < (columns < rows).float().mean() < 0.85


def test_intensities_leave_the_mask_alone_and_stay_in_range():
    images, masks = _pictures(16)
    no_geometry = {"rotation_deg": 0.0, "zoom": 0.0, "aspect": 0.0, "shift": 0.0, "narrow_probability": 0.0}
    found, mask = Augmenter(64, AugmentConfig(**no_geometry))(images, masks, _generator(2))
    assert found.min() >= 0 and found.max() <= 255
    assert ((mask < 1e-4) | (mask > 1 - 1e-4)).all()  # no grays: nothing was resampled, blurred or scaled
    assert found.shape == mask.shape == (16, 1, 64, 64)


def test_black_padding_stays_black():
    images, masks = torch.zeros(8, 64, 64, dtype=torch.uint8), torch.zeros(8, 64, 64, dtype=torch.uint8)
    config = AugmentConfig(marks_probability=0.0)
    found, _ = Augmenter(64, config)(images, masks, _generator(3))
    assert found.max() < 2


def test_one_seed_gives_one_result():
    images, masks = _pictures()
    augment = Augmenter(64)
    first, again, other = (augment(images, masks, _generator(s))[0] for s in (4, 4, 5))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_marks_are_drawn_at_the_given_rate_whatever_the_picture_shows():
    n = 600
    images = torch.zeros(n, 64, 64, dtype=torch.uint8)
    found, mask = Augmenter(64, AugmentConfig(**STILL | {"marks_probability": 0.35}))(images, images, _generator(6))
    assert (found.amax(dim=(1, 2, 3)) > 50).float().mean().item() == pytest.approx(0.35, abs=0.07)
    assert mask.max() == 0


def test_every_overlay_shows_something_and_hides_little():
    rng = np.random.default_rng(0)
    for _ in range(30):
        marks = draw_marks(256, rng)
        assert marks.max() >= 140
        assert (marks > 0).mean() < 0.1
