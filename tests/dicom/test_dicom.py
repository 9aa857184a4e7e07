"""Reading DICOM: pixels as a viewer shows them, millimetres by hand, and no word of what the file says."""

import io
import struct
import subprocess
import sys
import tracemalloc
import warnings

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import uid
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array

from busi_model.decode.banner import blank_banner
from busi_model.image import Box, ImageError, count_frames, read_image
from busi_model.phantom import draw_phantom
from busi_model.words import REFUSALS
from tests.conftest import ROOT
from tests.support.picture_files import PATIENT, dataset, encoded, noise, palette, region, smooth, written

# What pydicom warns of is silenced where the package is imported; pytest undoes that.
pytestmark = pytest.mark.filterwarnings("ignore:::pydicom")
SECRET = PATIENT


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp(SECRET) / f"{SECRET}.dcm"


@pytest.fixture
def read(place):
    def read(content, frame=None):
        place.write_bytes(content if isinstance(content, bytes) else written(content))
        picture = read_image(place, frame)
        assert SECRET not in repr((picture.notices, picture.scan_regions))
        return picture

    return read


def refusal(read, *arguments) -> str:
    with pytest.raises(ImageError) as caught:
        read(*arguments)
    error, text = caught.value, str(caught.value)
    while error:  # a log shows the causes, too
        assert "Doe" not in str(error) and "/tmp" not in str(error)
        error = error.__cause__
    assert text.endswith(".")
    return text


def codes(frame):
    return [notice.code for notice in frame.notices]


# Pixels


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian], ids=lambda s: s.name
)
def test_uncompressed_pixels_are_exact(read, syntax):
    gray, colour = noise(65, 71), noise(65, 71, 3)
    np.testing.assert_array_equal(read(dataset(gray, syntax)).gray, gray)
    np.testing.assert_array_equal(read(dataset(gray, syntax, "MONOCHROME1")).gray, 255 - gray)
    np.testing.assert_array_equal(read(dataset(colour, syntax)).gray, read_image(colour).gray)
    deep = noise(65, 71).astype(np.uint16) * 257
    np.testing.assert_array_equal(read(dataset(deep, syntax)).gray, noise(65, 71))


def test_a_plain_ultrasound_image_needs_no_notice(read):
    frame = read(dataset(noise(70, 80)))
    assert (frame.spacing_mm, frame.notices, frame.scan_regions) == (None, (), ())


@pytest.mark.parametrize(
    ("pixels", "photometric"),
    [
        (noise(66, 70), "MONOCHROME1"),
        (noise(66, 70) // 200 * 200, "MONOCHROME2"),
        (noise(66, 70, 3), "RGB"),
        (noise(66, 70, 3), "YBR_FULL"),
    ],
)
def test_run_lengths_are_exact(read, pixels, photometric):
    ds = dataset(pixels, photometric=photometric)
    plain = read(ds).gray
    ds.compress(uid.RLELossless)
    np.testing.assert_array_equal(read(ds).gray, plain)


def test_run_lengths_of_16_bits_are_exact(read):
    deep = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 13
    ds = dataset(deep, WindowCenter=32768, WindowWidth=65536)
    plain = read(ds).gray
    ds.compress(uid.RLELossless)
    np.testing.assert_array_equal(read(ds).gray, plain)
    assert len(np.unique(plain)) > 200


def test_jpeg_is_what_pillow_makes_of_it(read):
    gray, colour = smooth(80, 96), smooth(80, 96, 3)
    content = encoded(gray, "JPEG", quality=90)
    frame = read(dataset(gray, uid.JPEGBaseline8Bit, encoded=[content]))
    np.testing.assert_array_equal(frame.gray, Image.open(io.BytesIO(content)))
    content = encoded(colour, "JPEG", quality=95, subsampling=2)
    frame = read(dataset(colour, uid.JPEGBaseline8Bit, "YBR_FULL_422", encoded=[content]))
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("L"), int)
    assert np.abs(frame.gray.astype(int) - expected).max() <= 2  # two roundings on the way to RGB


def test_jpeg_2000_is_exact_where_it_is_lossless(read):
    gray, colour = noise(64, 70), noise(64, 70, 3)
    frame = read(dataset(gray, uid.JPEG2000Lossless, encoded=[encoded(gray, "JPEG2000", no_jp2=True)]))
    np.testing.assert_array_equal(frame.gray, gray)
    content = encoded(colour, "JPEG2000", no_jp2=True, mct=1)
    frame = read(dataset(colour, uid.JPEG2000Lossless, "YBR_RCT", encoded=[content]))
    np.testing.assert_array_equal(frame.gray, read_image(colour).gray)


def test_ybr_becomes_gray_by_its_luma(read):
    """Y of YBR_FULL is the ITU-R 601 luma that gray is made of."""
    ybr = np.full((64, 64, 3), 128, np.uint8)
    ybr[:, :, 0] = noise(64, 64)
    frame = read(dataset(ybr, photometric="YBR_FULL"))
    assert np.abs(frame.gray.astype(int) - ybr[:, :, 0]).max() <= 1
    assert frame.notices == ()


def test_palette_is_looked_up(read):
    indices = noise(64, 64) % 3
    frame = read(palette(dataset(indices)))
    np.testing.assert_array_equal(frame.gray, np.array([10, 240, 76])[indices])
    assert codes(frame) == ["colour"]


@pytest.mark.parametrize(
    ("name", "spacing_mm", "expected"),
    [
        ("examples_rgb_color.dcm", None, ["colour"]),
        ("examples_jpeg2k.dcm", None, ["colour"]),
        ("SC_rgb_rle.dcm", (1.0, 1.0), ["other_modality", "colour"]),
        ("SC_ybr_full_422_uncompressed.dcm", (1.0, 1.0), ["other_modality", "colour"]),
        ("SC_rgb_dcmtk_+eb+cy+s2.dcm", (1.0, 1.0), ["other_modality", "colour"]),
        ("SC_rgb_jpeg_dcmtk.dcm", (1.0, 1.0), ["other_modality", "colour"]),
        ("SC_rgb_gdcm_KY.dcm", (1.0, 1.0), ["other_modality", "colour"]),
        ("SC_rgb_rle_16bit.dcm", (1.0, 1.0), ["other_modality", "rescaled", "colour"]),
        ("CT_small.dcm", (0.661468, 0.661468), ["other_modality", "rescaled"]),
        ("JPEG2000.dcm", None, ["other_modality", "scale_implausible", "rescaled"]),
    ],
)
def test_files_of_other_makers_equal_pydicoms_own_pixels(name, spacing_mm, expected):
    path = get_testdata_file(name, download=False)
    frame = read_image(path)
    theirs = read_image(pixel_array(path, index=0))
    np.testing.assert_array_equal(frame.gray, theirs.gray)
    assert (frame.spacing_mm, codes(frame)) == (spacing_mm, expected)


def test_deflated_file_of_another_maker():
    path = get_testdata_file("image_dfl.dcm", download=False)
    np.testing.assert_array_equal(read_image(path).gray, pydicom.dcmread(path).pixel_array)


def test_8_bits_in_16_are_not_stretched(read):
    gray = noise(64, 64) // 2
    frame = read(dataset(gray.astype(np.uint16), BitsStored=8, HighBit=7))
    np.testing.assert_array_equal(frame.gray, gray)
    assert frame.notices == ()


def test_one_bit_becomes_black_and_white(read):
    mask = noise(64, 64) > 127
    packed = np.packbits(mask.ravel(), bitorder="little")
    ds = dataset(noise(64, 64), BitsAllocated=1, BitsStored=1, HighBit=0)
    ds.PixelData = packed.tobytes()
    np.testing.assert_array_equal(read(ds).gray, np.where(mask, 255, 0))


# The window: PS3.3 C.11.2.1.2, by hand


def ramp(*levels):
    pixels = np.full((64, 64), levels[0], np.int16)
    pixels[0, : len(levels)] = levels
    return pixels


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        # LINEAR, c = 500, w = 201: ((x - 499.5) / 200 + 0.5) * 255
        ({}, [0, 1, 64, 128, 255, 255]),
        # LINEAR_EXACT: ((x - 500) / 201 + 0.5) * 255
        ({"VOILUTFunction": "LINEAR_EXACT"}, [0, 1, 64, 128, 254, 255]),
        # SIGMOID: 255 / (1 + exp(-4 (x - 500) / 201))
        ({"VOILUTFunction": "SIGMOID"}, [0, 31, 69, 128, 224, 255]),
        # 2 x - 500 comes first: -700, 300, 400, 500, 700, 1500 becomes of -100, 400, 450, 500, 600, 1000
        ({"RescaleSlope": 2, "RescaleIntercept": -500}, [0, 0, 1, 128, 255, 255]),
    ],
)
def test_window_by_hand(read, tags, expected):
    pixels = ramp(-100, 400, 450, 500, 600, 1000)
    frame = read(dataset(pixels, WindowCenter=500, WindowWidth=201, **tags))
    assert frame.gray[0, :6].tolist() == expected
    assert codes(frame) == ["windowed"]
    inverted = read(dataset(pixels, photometric="MONOCHROME1", WindowCenter=500, WindowWidth=201, **tags))
    assert inverted.gray[0, :6].tolist() == [255 - level for level in expected]


def test_the_first_of_several_windows_is_used(read):
    pixels = ramp(-100, 400, 450, 500, 600, 1000)
    frame = read(dataset(pixels, WindowCenter=[500, 40], WindowWidth=[201, 80]))
    assert frame.gray[0, :6].tolist() == [0, 1, 64, 128, 255, 255]


def test_deep_gray_without_a_window_uses_its_own_range(read):
    pixels = ramp(-1000, 1550, -490)  # ten units a level
    frame = read(dataset(pixels))
    assert frame.gray[0, :3].tolist() == [0, 255, 51]
    assert codes(frame) == ["rescaled"]
    inverted = read(dataset(pixels, photometric="MONOCHROME1"))
    assert inverted.gray[0, :3].tolist() == [255, 0, 204]


# Millimetres and regions


def test_region_gives_millimetres_and_the_scan_area(read):
    item = region((10, 20, 59, 69), delta_x_cm=0.012, delta_y_cm=0.025)
    frame = read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=[item], PixelSpacing=[9, 9]))
    assert frame.spacing_mm == pytest.approx((0.25, 0.12))  # (row, column): y and x, cm to mm
    assert frame.scan_regions == (Box(20, 10, 70, 60),)
    assert codes(frame) == ["pixels_not_square"] and frame.pixel_aspect == pytest.approx(0.25 / 0.12)


def test_one_past_the_edge_is_forgiven(read):
    frame = read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=[region((0, 0, 90, 80))]))
    assert frame.scan_regions == (Box(0, 0, 80, 90),)
    assert frame.spacing_mm == pytest.approx((0.2, 0.1))


@pytest.mark.parametrize("box", [(10, 20, 59, 81), (10, 20, 91, 69), (50, 20, 50, 69), (10, 70, 59, 20)])
def test_regions_of_another_picture_give_no_millimetres(read, box):
    ds = dataset(noise(80, 90), SequenceOfUltrasoundRegions=[region((0, 0, 50, 50)), region(box)], PixelSpacing=[1, 1])
    frame = read(ds)
    assert (frame.spacing_mm, frame.scan_regions, codes(frame)) == (None, (), ["regions_disagree"])


def test_resized_files_of_other_makers_have_regions_that_disagree():
    frame = read_image(get_testdata_file("examples_ybr_color.dcm", download=False), frame=0)
    assert frame.gray.shape == (240, 320) and frame.spacing_mm is None
    assert codes(frame) == ["regions_disagree"]  # its coloured menu is no Doppler


@pytest.mark.parametrize(
    "other",
    [region((0, 60, 80, 79), kind=(2, 1)), region((0, 60, 80, 79), kind=(1, 2)), region((0, 60, 80, 79), kind=(3, 3))],
    ids=["M-mode", "colour flow", "Doppler"],
)
def test_only_two_dimensional_tissue_gives_millimetres(read, other):
    items = [other, region((0, 0, 80, 59), 0.03, 0.03)]
    frame = read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=items))
    assert frame.spacing_mm == pytest.approx((0.3, 0.3))
    assert len(frame.scan_regions) == (1 if other.RegionDataType == 3 else 2)  # a spectrum is no scan
    assert read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=[other])).spacing_mm is None


def test_two_scans_at_different_scales_have_no_common_one(read):
    left, right = region((0, 0, 40, 70), 0.01, 0.01), region((45, 0, 88, 70), 0.02, 0.02)
    frame = read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=[left, right]))
    assert (frame.spacing_mm, codes(frame), frame.pixel_aspect) == (None, ["spacings_differ"], 1)
    assert len(frame.scan_regions) == 2
    same = read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=[left, left]))
    assert same.spacing_mm == pytest.approx((0.1, 0.1))


@pytest.mark.parametrize("delta_cm", [10.0, 1e299, 0.2, 0.0001])
def test_a_scale_that_no_ultrasound_has_is_told_and_not_used(read, delta_cm):
    frame = read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=[region((0, 0, 80, 70), delta_cm, delta_cm)]))
    assert frame.spacing_mm is None and codes(frame) == ["scale_implausible"]
    assert f"{10 * delta_cm:.3g} x {10 * delta_cm:.3g} mm" in frame.notices[0].text and len(frame.scan_regions) == 1
    plain = read(dataset(noise(80, 90), PixelSpacing=[10 * delta_cm, 10 * delta_cm]))
    assert plain.spacing_mm is None and codes(plain) == ["scale_implausible"]


@pytest.mark.parametrize("delta_cm", [10.0, 1e299, 0.2, 0.0001])
def test_a_pixel_far_higher_than_wide_is_told_and_not_used(read, delta_cm):
    frame = read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=[region((0, 0, 80, 70), 0.01, delta_cm)]))
    assert (frame.spacing_mm, frame.pixel_aspect, codes(frame)) == (None, 1, ["tag_ignored"])
    assert len(frame.scan_regions) == 1
    plain = read(dataset(noise(80, 90), PixelSpacing=[10 * delta_cm, 0.1]))
    assert (plain.spacing_mm, plain.pixel_aspect, codes(plain)) == (None, 1, ["tag_ignored"])


@pytest.mark.parametrize("tags", [{"units": 4}, {"delta_x_cm": 0.0}, {"delta_y_cm": float("inf")}])
def test_regions_without_lengths_give_none(read, tags):
    frame = read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=[region((0, 0, 80, 70), **tags)]))
    assert frame.spacing_mm is None and len(frame.scan_regions) == 1


def test_pixel_spacing_is_row_then_column(read):
    frame = read(dataset(noise(64, 64), PixelSpacing=[0.2, 0.1]))
    assert (frame.spacing_mm, frame.pixel_aspect, codes(frame)) == ((0.2, 0.1), 2, ["pixels_not_square"])
    frame = read(dataset(noise(64, 64), PixelSpacing=[0, 0.1]))
    assert (frame.spacing_mm, frame.pixel_aspect, codes(frame)) == (None, 1, ["tag_ignored"])


@pytest.mark.parametrize(("ratio", "aspect"), [([1, 2], 0.5), ([4, 3], 4 / 3), ([1, 1], 1), ([1000, 1001], 1)])
def test_pixel_aspect_ratio_is_height_over_width(read, ratio, aspect):
    frame = read(dataset(noise(64, 64), PixelAspectRatio=ratio))
    assert (frame.spacing_mm, frame.pixel_aspect) == (None, pytest.approx(aspect))
    assert codes(frame) == ([] if aspect == 1 else ["pixels_not_square"])


@pytest.mark.parametrize("ratio", [[0, 1], [1, 100], [-1, 1]])
def test_an_impossible_ratio_is_left_out(read, ratio):
    frame = read(dataset(noise(64, 64), PixelAspectRatio=ratio))
    assert (frame.pixel_aspect, codes(frame)) == (1, ["tag_ignored"])


def test_scales_that_differ_by_rounding_are_one(read):
    items = [region((0, 0, 40, 70), 0.01, 0.01), region((45, 0, 88, 70), 0.01 + 1e-8, 0.01 - 1e-8)]
    frame = read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=items))
    assert frame.spacing_mm == pytest.approx((0.1, 0.1)) and frame.notices == ()


def test_scales_that_differ_keep_their_common_proportion(read):
    items = [region((0, 0, 40, 70), 0.01, 0.02), region((45, 0, 88, 70), 0.02, 0.04)]
    frame = read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=items))
    assert (frame.spacing_mm, frame.pixel_aspect) == (None, 2)
    assert codes(frame) == ["spacings_differ", "pixels_not_square"]


def _hollow():
    item = region((0, 0, 0, 0))
    for keyword in ("RegionLocationMaxX1", "PhysicalDeltaX"):
        setattr(item, keyword, None)
    return item


@pytest.mark.parametrize(
    "extra",
    [
        Dataset(),
        _hollow(),
        region((0, 0, 0, 0)),
        region((500, 0, 900, 80), kind=(0, 0)),
        region((9, 9, 5, 5), kind=(3, 3)),
    ],
    ids=["empty", "without values", "never filled in", "of no kind, outside", "of a spectrum, reversed"],
)
def test_one_bad_extra_region_costs_no_millimetres(read, extra):
    items = [extra, region((10, 20, 59, 69), 0.01, 0.01)]
    frame = read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=items))
    assert frame.spacing_mm == pytest.approx((0.1, 0.1))
    assert frame.scan_regions == (Box(20, 10, 70, 60),)
    assert set(codes(frame)) <= {"tag_ignored"}


def test_a_region_of_no_kind_protects_no_text(read):
    """Name and number beside the scan, and a region "none" that is drawn round all of it."""
    from tests.decode.test_banner import screen

    scan, _ = draw_phantom("benign", 3, 300, 380)
    pixels, painted, box = screen(scan, 0, 220, 18, (48, 64, 48, 64))
    height, width = pixels.shape
    whole = region((0, 0, width - 1, height - 1), kind=(0, 0), units=0)
    for items in ([whole], [whole, region((box.left, box.top, box.right - 1, box.bottom - 1))]):
        frame = read(dataset(pixels, SequenceOfUltrasoundRegions=items))
        blanked, mask = blank_banner(frame.gray, frame.scan_regions)
        assert (painted & mask).sum() >= 0.99 * painted.sum()
        np.testing.assert_array_equal(blanked[box.top : box.bottom, box.left : box.right], scan)


def test_an_enhanced_volume_has_its_spacing_in_groups(read):
    def groups(spacing):
        measures, group = Dataset(), Dataset()
        measures.PixelSpacing = spacing
        group.PixelMeasuresSequence = [measures]
        return group

    frames = np.stack([noise(64, 64, seed=seed) for seed in range(2)])
    ds = dataset(frames, n_frames=2, SharedFunctionalGroupsSequence=[groups([0.3, 0.3])])
    assert read(ds, 1).spacing_mm == (0.3, 0.3)
    del ds.SharedFunctionalGroupsSequence
    ds.PerFrameFunctionalGroupsSequence = [groups([0.1, 0.1]), groups([0.2, 0.2])]
    assert [read(ds, number).spacing_mm for number in (0, 1)] == [(0.1, 0.1), (0.2, 0.2)]


def test_an_enhanced_volume_has_its_window_and_its_slope_in_groups(read):
    def group(sequence, **tags):
        item, group = Dataset(), Dataset()
        for keyword, value in tags.items():
            setattr(item, keyword, value)
        setattr(group, sequence, [item])
        return group

    gray = noise(64, 64)
    windows = [group("FrameVOILUTSequence", WindowCenter=64, WindowWidth=width) for width in (128, 256)]
    ds = dataset(np.stack([gray, gray]), n_frames=2, PerFrameFunctionalGroupsSequence=windows)
    np.testing.assert_array_equal(read(ds, 0).gray, np.rint(np.clip(gray / 127, 0, 1) * 255))
    assert read(ds, 1).gray.max() > read(ds, 0).gray.min() and not (read(ds, 1).gray == read(ds, 0).gray).all()
    slope = group("PixelValueTransformationSequence", RescaleSlope=-1, RescaleIntercept=255)
    frame = read(dataset(np.stack([gray, gray]), n_frames=2, SharedFunctionalGroupsSequence=[slope]), 0)
    np.testing.assert_array_equal(frame.gray, 255 - gray)
    assert codes(frame) == ["inverted"]


def test_regions_without_lengths_leave_the_spacing_to_its_own_tag(read):
    for items in ([region((0, 0, 80, 70), units=0)], [region((0, 0, 80, 70), kind=(1, 2))]):
        frame = read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=items, PixelSpacing=[0.3, 0.3]))
        assert frame.spacing_mm == (0.3, 0.3) and len(frame.scan_regions) == 1


def test_a_box_of_colour_flow_beyond_the_picture_costs_no_millimetres(read):
    flow, tissue = region((0, 0, 900, 900), kind=(1, 2)), region((10, 20, 59, 69), 0.01, 0.01)
    frame = read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=[flow, tissue]))
    assert (frame.spacing_mm, codes(frame)) == (pytest.approx((0.1, 0.1)), ["tag_ignored"])
    assert frame.scan_regions == (Box(20, 10, 70, 60),)
    assert codes(read(dataset(noise(80, 90), SequenceOfUltrasoundRegions=[flow]))) == ["regions_disagree"]


def test_the_spacing_of_a_scanned_print_is_said_and_not_used(read):
    frame = read(dataset(noise(64, 64), NominalScannedPixelSpacing=[0.5, 0.25]))
    assert (frame.spacing_mm, frame.pixel_aspect) == (None, 2)
    assert codes(frame) == ["scanned_spacing", "pixels_not_square"]


# Optional tags of no use


@pytest.mark.parametrize(
    "tags",
    [
        {"PixelSpacing": 0.1},
        {"PixelSpacing": [0.1, float("nan")]},
        {"PixelSpacing": ""},
        {"WindowCenter": 2048, "WindowWidth": 0},
        {"WindowCenter": 2048, "WindowWidth": -5},
        {"WindowCenter": "", "WindowWidth": 10},
        {"RescaleSlope": "", "RescaleIntercept": 0},
        {"RescaleSlope": 0, "RescaleIntercept": 0},
        {"ModalityLUTSequence": []},
        {"ModalityLUTSequence": [Dataset()]},
        {"VOILUTSequence": [Dataset()]},
        {"NumberOfFrames": 0},
        {"SequenceOfUltrasoundRegions": [region((0, 0, 60, 60), 0.0, 0.0)]},
    ],
    ids=str,
)
@pytest.mark.parametrize("bits", [8, 12])
def test_a_useless_optional_tag_never_costs_the_picture(read, tags, bits):
    pixels = noise(64, 66) if bits == 8 else noise(64, 66).astype(np.uint16) * 16
    frame = read(dataset(pixels, BitsStored=bits, HighBit=bits - 1, **tags))
    plain = read(dataset(pixels, BitsStored=bits, HighBit=bits - 1))
    np.testing.assert_array_equal(frame.gray, plain.gray)
    assert frame.spacing_mm is None
    assert codes(frame)[0] == "tag_ignored" and "Doe" not in frame.notices[0].text
    assert [code for code in codes(frame) if code != "tag_ignored"] == codes(plain)


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"WindowCenter": 128}, "WindowCenter stands alone"),
        ({"WindowCenter": 128, "WindowWidth": 256, "VOILUTFunction": "DOE"}, "VOILUTFunction is empty or makes"),
        ({"PixelAspectRatio": [1, 2], "PixelSpacing": [0.1, 0.1]}, "PixelAspectRatio contradicts the spacing"),
    ],
)
def test_a_tag_that_says_half_or_contradicts_is_named(read, tags, words):
    frame = read(dataset(noise(64, 64), **tags))
    np.testing.assert_array_equal(frame.gray, noise(64, 64))
    assert codes(frame) == ["tag_ignored"] and words in frame.notices[0].text and frame.pixel_aspect == 1


def test_the_first_of_several_words_counts(read):
    ds = dataset(noise(64, 64))
    for keyword, value in (("Modality", "US\\CT"), ("PresentationLUTShape", "INVERSE\\IDENTITY")):
        setattr(ds, keyword, value)
    frame = read(ds)
    np.testing.assert_array_equal(frame.gray, 255 - noise(64, 64))
    assert codes(frame) == ["inverted"]


def test_text_in_place_of_numbers_costs_nothing(read):
    content = written(dataset(noise(64, 64), PixelSpacing=[0.1, 0.1], HighBit=7))
    frame = read(content.replace(b"0.1\\0.1 ", b"Doe\\Doe "))
    assert (frame.spacing_mm, codes(frame)) == (None, ["tag_ignored"])


# What the tags ask is done


def table(values, first=0, bits=8):
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    item["LUTDescriptor"].VR = "US"
    item.add_new("LUTData", "US", [int(value) for value in values])
    return item


def test_black_and_white_are_exchanged_as_asked(read):
    gray = noise(64, 64)
    for tags in ({"PresentationLUTShape": "INVERSE"}, {"RescaleSlope": -1, "RescaleIntercept": 255}):
        frame = read(dataset(gray, **tags))
        np.testing.assert_array_equal(frame.gray, 255 - gray)
        assert codes(frame) == ["inverted"]
    frame = read(dataset(gray, photometric="MONOCHROME1", PresentationLUTShape="INVERSE"))  # says the same twice
    np.testing.assert_array_equal(frame.gray, 255 - gray)
    assert codes(frame) == []
    np.testing.assert_array_equal(read(dataset(gray, PresentationLUTShape="IDENTITY")).gray, gray)


def test_a_slope_of_minus_one_turns_deep_gray(read):
    deep = ramp(0, 4095, 2048, 1024).astype(np.uint16)
    turned = read(dataset(deep, BitsStored=12, HighBit=11, RescaleSlope=-1, RescaleIntercept=4095))
    plain = read(dataset(deep, BitsStored=12, HighBit=11))
    assert np.abs(turned.gray.astype(int) - (255 - plain.gray.astype(int))).max() <= 1


@pytest.mark.parametrize("bits", [8, 12])
@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
@pytest.mark.parametrize("keyword", ["ModalityLUTSequence", "VOILUTSequence"])
def test_tables_are_applied(read, bits, syntax, keyword):
    """A table that squares, for values from 10 on."""
    entries = (np.linspace(0, 1, 2**bits - 10) ** 2 * (2**bits - 1)).round()
    pixels = noise(64, 66) if bits == 8 else noise(64, 66).astype(np.uint16) * 16
    tags = {keyword: [table(entries, 10, bits)]}
    frame = read(dataset(pixels, syntax, BitsStored=bits, HighBit=bits - 1, **tags))
    expected = entries[np.clip(pixels.astype(int) - 10, 0, len(entries) - 1)] / (2**bits - 1) * 255
    if keyword == "ModalityLUTSequence" and bits == 12:  # no window: from the lowest to the highest
        expected = (expected - expected.min()) / (expected.max() - expected.min()) * 255
    assert np.abs(frame.gray - expected).max() <= 0.51
    assert set(codes(frame)) == {"rescaled" if keyword == "ModalityLUTSequence" and bits == 12 else "windowed"}


def test_a_table_for_signed_values_may_say_its_first_as_if_they_were_not(read):
    values = np.arange(-2048, 2048, dtype=np.int16).reshape(64, 64)
    frame = read(dataset(values, BitsStored=12, HighBit=11, VOILUTSequence=[table(range(4096), 2**16 - 2048, 12)]))
    np.testing.assert_array_equal(frame.gray, np.rint((values.astype(int) + 2048) / 4095 * 255))


@pytest.mark.parametrize(("value", "limit"), [(-2000, None), (30000, None), (30000, 32767)])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_takes_no_part_of_the_range(read, photometric, value, limit):
    deep = noise(64, 64).astype(np.int16) * 10
    padded = deep.copy()
    padded[:20], padded[20] = value, limit or value
    tags = {"PixelPaddingValue": value} | ({"PixelPaddingRangeLimit": limit} if limit else {})
    ds = dataset(padded, photometric=photometric, **tags)
    for keyword in tags:
        ds[keyword].VR = "SS"
    frame = read(ds)
    expected = noise(64, 64) if photometric == "MONOCHROME2" else 255 - noise(64, 64)
    np.testing.assert_array_equal(frame.gray[21:], expected[21:])
    assert not frame.gray[:21].any()


def test_an_8_bit_window_is_applied_and_one_that_changes_nothing_is_not_told(read):
    gray = noise(64, 64)
    frame = read(dataset(gray, WindowCenter=128, WindowWidth=256))
    np.testing.assert_array_equal(frame.gray, gray)
    assert frame.notices == ()
    frame = read(dataset(gray, WindowCenter=64, WindowWidth=128))
    np.testing.assert_array_equal(frame.gray, np.rint(np.clip(gray / 127, 0, 1) * 255))
    assert codes(frame) == ["windowed"]


def test_6_bits_fill_the_range(read):
    gray = noise(64, 64) // 4
    np.testing.assert_array_equal(read(dataset(gray, BitsStored=6, HighBit=5)).gray, np.rint(gray / 63 * 255))


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_high_bit_says_where_the_sample_is(read, syntax):
    gray = noise(64, 64)
    beside = noise(64, 64, seed=1).astype(np.uint16) % 16  # something else in the lowest bits
    shifted = read(dataset((gray.astype(np.uint16) << 4) + beside, syntax, BitsStored=8, HighBit=11))
    np.testing.assert_array_equal(shifted.gray, gray)
    above = read(dataset(gray + (beside << 8), syntax, BitsStored=8, HighBit=7))
    np.testing.assert_array_equal(above.gray, gray)
    useless = read(dataset(gray.astype(np.uint16), syntax, BitsStored=8, HighBit=2))
    np.testing.assert_array_equal(useless.gray, gray)
    assert codes(useless) == ["tag_ignored"]


def test_signed_12_bits_keep_their_sign(read):
    deep = ramp(-2000, 2000, 0, -500)
    for stored in (deep, deep & 0x0FFF):  # with and without a sign in the bits above
        frame = read(dataset(stored.astype(np.int16), BitsStored=12, HighBit=11, WindowCenter=0, WindowWidth=4001))
        assert frame.gray[0, :4].tolist() == [0, 255, 128, 96]


@pytest.mark.parametrize("tags", [{"SOPClassUID": uid.SegmentationStorage}, {"Modality": "SEG"}])
def test_a_segmentation_is_told_from_ultrasound(read, tags):
    ds = dataset(noise(64, 64), **tags)
    assert "is a segmentation, which holds outlines and not the picture" in refusal(read, ds)


# What the reader is told


def test_burned_in_text_and_other_modalities_are_told(read):
    frame = read(dataset(noise(64, 64), BurnedInAnnotation="YES", Modality="MG"))
    assert codes(frame) == ["other_modality", "burned_in"]
    assert "mammography, not ultrasound" in frame.notices[0].text
    assert codes(read(dataset(noise(64, 64), BurnedInAnnotation="NO"))) == []
    hidden = read(dataset(noise(64, 64), Modality="DOE"))  # any text can stand in a tag
    assert "DOE" not in hidden.notices[0].text and codes(hidden) == ["other_modality"]


def test_without_a_modality_the_kind_of_file_decides(read):
    ds = dataset(noise(64, 64))
    del ds.Modality
    assert codes(read(ds)) == []
    ds.SOPClassUID = uid.CTImageStorage
    assert codes(read(ds)) == ["other_modality"]


@pytest.mark.slow
def test_nothing_of_the_file_is_warned_of_or_logged(place):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = dataset(noise(64, 64), SpecificCharacterSet=SECRET, BurnedInAnnotation=SECRET * 5, PixelSpacing=[0.1, 0.1])
        place.write_bytes(written(ds).replace(b"0.1\\0.1 ", b"Doe\\Doe "))
    code = "import logging, sys; logging.basicConfig(level=0); from busi_model.image import read_image\n"
    code += f"print(read_image({str(place)!r}).notices)"
    done = subprocess.run([sys.executable, "-Wdefault", "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert "tag_ignored" in done.stdout and "Doe" not in done.stdout


# Several frames


def cine(n_frames=5, **tags):
    frames = np.stack([noise(64, 70, seed=seed) for seed in range(n_frames)])
    return frames, dataset(frames, n_frames=n_frames, **tags)


@pytest.mark.parametrize("compress", [False, True])
def test_any_frame_of_a_cine_loop(read, place, compress):
    frames, ds = cine()
    if compress:
        ds.compress(uid.RLELossless)
    for number, expected in enumerate(frames):
        frame = read(ds, number)
        np.testing.assert_array_equal(frame.gray, expected)
        assert frame.notices == ()
    assert count_frames(place) == 5
    frame = read(ds)
    np.testing.assert_array_equal(frame.gray, frames[2])
    assert codes(frame) == ["middle_frame"]
    assert frame.notices[0].text == "The file holds 5 frames; this is of frame 3, in the middle."
    expected = "Frame 6 was asked for; the file holds 5, counted from 1. Choose one of them."
    assert refusal(read, ds, 5) == expected
    assert "Frame 0 was asked for" in refusal(read, ds, -1)


def test_cine_loop_of_another_maker():
    path = get_testdata_file("examples_ybr_color.dcm", download=False)
    assert count_frames(path) == 30
    for index in (0, 15, 29):
        np.testing.assert_array_equal(read_image(path, index).gray, read_image(pixel_array(path, index=index)).gray)
    np.testing.assert_array_equal(read_image(path).gray, read_image(path, 15).gray)


def test_one_frame_is_read_of_a_long_loop(tmp_path):
    """Half a gigabyte of frames, most of them a hole in the file."""
    gray, n_frames = noise(800, 1000), 640
    ds = dataset(gray, n_frames=n_frames)
    content = written(ds)
    header = content[: content.rindex(gray.tobytes()) - 4]
    path = tmp_path / "long.dcm"
    with open(path, "wb") as file:
        file.write(header + struct.pack("<L", n_frames * gray.size))
        file.seek(100 * gray.size, io.SEEK_CUR)
        file.write(gray.tobytes())
        file.truncate(len(header) + 4 + n_frames * gray.size)
    tracemalloc.start()
    try:
        assert count_frames(path) == n_frames
        np.testing.assert_array_equal(read_image(path, 100).gray, gray)
        assert not read_image(path).gray.any()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 40 * 2**20


# Files without a preamble, and those that hold no picture


@pytest.mark.parametrize("syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian])
def test_preamble_and_file_meta_may_be_missing(read, syntax):
    ds = dataset(noise(64, 70), syntax, PixelSpacing=[0.2, 0.1])
    writer = pydicom.filebase.DicomBytesIO()
    writer.is_implicit_VR, writer.is_little_endian = syntax.is_implicit_VR, syntax.is_little_endian
    pydicom.filewriter.write_dataset(writer, ds)
    for bare in (written(ds)[132:], writer.getvalue()):
        frame = read(bare)
        np.testing.assert_array_equal(frame.gray, noise(64, 70))
        assert frame.spacing_mm == (0.2, 0.1)


@pytest.mark.parametrize("stated", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian])
@pytest.mark.parametrize("kept", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian])
def test_pixels_begin_where_they_do_whatever_the_file_says_of_its_tags(read, stated, kept):
    gray = noise(64, 70)
    head = written(dataset(gray, stated))
    head = head[: head.index(b"\x08\x00\x16\x00")]
    writer = pydicom.filebase.DicomBytesIO()
    writer.is_implicit_VR, writer.is_little_endian = kept.is_implicit_VR, True
    pydicom.filewriter.write_dataset(writer, dataset(gray, kept))
    np.testing.assert_array_equal(read(head + writer.getvalue()).gray, gray)


def test_an_unknown_compression_is_not_repeated(read):
    film = written(dataset(noise(64, 64), uid.MPEG2MPML, encoded=[b"\0" * 64]))
    unknown = film.replace(b"1.2.840.10008.1.2.4.100", b"1.2.840.10008.1.2.4.Doe")
    assert "by an unknown method" in refusal(read, unknown)


# Files that lie


def test_sizes_are_checked_before_anything_is_decoded(read):
    assert "64x64 is needed" in refusal(read, dataset(noise(64, 64), Rows=63))
    assert "at most 40 megapixels" in refusal(read, dataset(noise(64, 64), Rows=40_000, Columns=40_000))


@pytest.mark.parametrize("tags", [{"Rows": 640}, {"Columns": 65}, {"NumberOfFrames": 2}, {"NumberOfFrames": 2**31 - 1}])
def test_native_file_with_too_few_pixels_is_refused(read, tags):
    assert REFUSALS["damaged"] in refusal(read, dataset(noise(64, 64), **tags))


@pytest.mark.parametrize("tags", [{"NumberOfFrames": 2}, {"NumberOfFrames": 2**31 - 1}, {"NumberOfFrames": -1}])
def test_compressed_file_with_too_few_frames_is_refused(read, place, tags):
    content = encoded(noise(64, 64), "JPEG")
    assert REFUSALS["damaged"] in refusal(read, dataset(noise(64, 64), uid.JPEGBaseline8Bit, encoded=[content], **tags))
    with pytest.raises(ImageError, match="damaged"):
        count_frames(place)


@pytest.mark.parametrize("missing", ["BitsAllocated", "SamplesPerPixel", "PhotometricInterpretation", "Columns"])
def test_missing_tags_are_refused(read, missing):
    ds = dataset(noise(64, 64))
    delattr(ds, missing)
    assert f"The DICOM file lacks {missing}, without which" in refusal(read, ds)


@pytest.mark.parametrize("missing", ["Rows", "PixelData", "GreenPaletteColorLookupTableData"])
def test_the_missing_tag_is_named_whichever_it_is(read, missing):
    ds = palette(dataset(noise(64, 64) % 3))
    delattr(ds, missing)
    assert f"lacks {missing}" in refusal(read, ds)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("BitsStored", 0),
        ("BitsStored", 9),
        ("BitsAllocated", 12),
        ("SamplesPerPixel", 4),
        ("PixelRepresentation", 5),
        ("Rows", [64, 64]),
    ],
)
def test_a_required_tag_that_makes_no_sense_is_named(read, keyword, value):
    ds = dataset(noise(64, 64), **{keyword: value})
    assert f"The DICOM file's {keyword} makes no sense" in refusal(read, ds)


def test_a_kind_of_colour_is_known_in_small_letters_and_refused_when_unknown(read):
    ds = dataset(noise(64, 64))
    for word in ("monochrome1", "MONOCHROME3"):
        ds["PhotometricInterpretation"] = pydicom.DataElement(
            "PhotometricInterpretation", "CS", word, validation_mode=pydicom.config.IGNORE
        )
        if word == "monochrome1":
            np.testing.assert_array_equal(read(ds).gray, 255 - noise(64, 64))
        else:
            assert "an unusual kind of colour" in refusal(read, ds)


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian])
def test_ybr_422_that_halves_nothing_is_read_as_it_is(read, syntax):
    """Its length tells it from real 4:2:2, of which two pixels share their colour."""
    ybr = np.full((2, 64, 64, 3), 128, np.uint8)
    ybr[..., 0] = noise(2, 64, 64)
    whole = dataset(ybr, syntax, "YBR_FULL_422", n_frames=2)
    halved = dataset(ybr, syntax, "YBR_FULL_422", n_frames=2)
    luma, colour = ybr[..., 0].reshape(-1, 2), np.full((2 * 64 * 32, 2), 128, np.uint8)
    halved.PixelData = np.hstack([luma, colour]).tobytes()
    for ds in (whole, halved):
        for number in (0, 1):
            assert np.abs(read(ds, number).gray.astype(int) - ybr[number, :, :, 0]).max() <= 1


@pytest.mark.parametrize("syntax", [uid.JPEGBaseline8Bit, uid.JPEG2000Lossless])
def test_compressed_picture_of_another_size_is_refused(read, syntax):
    image_format = "JPEG" if syntax == uid.JPEGBaseline8Bit else "JPEG2000"
    content = encoded(np.zeros((3000, 3000), np.uint8), image_format)
    assert REFUSALS["damaged"] in refusal(read, dataset(noise(64, 64), syntax, encoded=[content]))
    colour = encoded(np.zeros((64, 64, 3), np.uint8), image_format)
    assert REFUSALS["damaged"] in refusal(read, dataset(noise(64, 64), syntax, encoded=[colour]))


def test_compressed_picture_of_more_bits_is_refused(read):
    content = encoded(noise(64, 64).astype(np.uint16) << 8, "JPEG2000", no_jp2=True)
    assert REFUSALS["damaged"] in refusal(read, dataset(noise(64, 64), uid.JPEG2000Lossless, encoded=[content]))


def test_run_lengths_that_unpack_without_end_take_no_memory(read):
    bomb = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * 2_000_000  # 256 MB once unpacked
    ds = dataset(noise(64, 64), uid.RLELossless, encoded=[bomb])
    tracemalloc.start()
    assert not read(ds).gray.any()  # what is beyond the picture is not unpacked
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * 2**20
    short = struct.pack("<16L", 1, 64, *[0] * 14) + b"\x81\x00" * 10
    assert REFUSALS["damaged"] in refusal(read, dataset(noise(64, 64), uid.RLELossless, encoded=[short]))
    wrong = struct.pack("<16L", 3, 64, 64, 64, *[0] * 12) + b"\x81\x00" * 100
    assert REFUSALS["damaged"] in refusal(read, dataset(noise(64, 64), uid.RLELossless, encoded=[wrong]))


def test_deflated_bomb_is_refused(read, monkeypatch):
    monkeypatch.setattr("busi_model.decode.dicom.source.MAX_FILE_BYTES", 2**20)
    ds = dataset(noise(64, 64), uid.DeflatedExplicitVRLittleEndian)
    np.testing.assert_array_equal(read(ds).gray, noise(64, 64))
    ds.PixelData = bytes(64 * 64) + bytes(2**21)
    assert "unpacks to more than 1 MiB" in refusal(read, ds)
    whole = written(dataset(noise(64, 64), uid.DeflatedExplicitVRLittleEndian))
    assert REFUSALS["damaged"] in refusal(read, whole[:-100])


def test_endless_descriptions_are_refused(read, monkeypatch):
    monkeypatch.setattr("busi_model.decode.dicom.source.MAX_TAG_BYTES", 20_000)
    ds = dataset(noise(64, 64))
    ds.add_new(0x00091001, "OB", bytes(10**6))  # of known length, asked for by nobody: skipped
    assert read(ds).gray.any()
    nested = Dataset()
    nested.PatientComments = SECRET * 500
    ds.RequestAttributesSequence = [nested] * 20
    ds["RequestAttributesSequence"].is_undefined_length = True
    assert "of descriptions; a picture has far less" in refusal(read, ds)
