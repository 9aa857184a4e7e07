"""Reading pictures: exact pixels, one notice for each change, one clear refusal for each kind of bad file."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from busi_model.image import Frame, ImageError, count_frames, read_image
from tests.support.picture_files import blank_png, bmp_5_6_5, encoded, encoded_tiff, noise, png

SECRET = "Jane Doe 1961"  # stands for what a file or folder may be called after


@pytest.fixture(scope="module")
def read_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp(SECRET) / f"{SECRET}.png"

    def read(content: bytes) -> Frame:
        path.write_bytes(content)
        return read_image(path)

    return read


def codes(frame):
    return [notice.code for notice in frame.notices]


def refusal(read, *arguments) -> str:
    """The refusal's text, after checking what every refusal owes its reader."""
    with pytest.raises(ImageError) as caught:
        read(*arguments)
    text = str(caught.value)
    assert SECRET not in str(caught.value.__cause__)  # a log shows the cause, too
    assert SECRET not in text and "/tmp" not in text and "object at 0x" not in text
    assert text.endswith(".")
    return text


def assert_same(frame, other):
    np.testing.assert_array_equal(frame.gray, other.gray)
    assert (frame.spacing_mm, frame.notices) == (other.spacing_mm, other.notices)


# Pixels that need no change


gray_arrays = npst.arrays(np.uint8, st.tuples(st.integers(64, 90), st.integers(64, 90)))


@given(gray_arrays, st.sampled_from(["PNG", "BMP", "TIFF", "GIF"]))
@settings(max_examples=60, deadline=None)
def test_gray_round_trips_by_every_way_in(read_bytes, array, image_format):
    for frame in (
        read_image(array),
        read_image(array[:, :, None]),
        read_image(Image.fromarray(array)),
        read_bytes(encoded(array, image_format)),
    ):
        np.testing.assert_array_equal(frame.gray, array)
        assert (frame.spacing_mm, frame.notices) == (None, ())


@given(npst.arrays(np.uint8, st.tuples(st.integers(64, 70), st.integers(64, 70), st.sampled_from([3, 4]))))
@settings(max_examples=40, deadline=None)
def test_colour_and_alpha_are_the_same_by_every_way_in(read_bytes, array):
    frame = read_image(array)
    assert_same(frame, read_image(Image.fromarray(array)))
    assert_same(frame, read_bytes(encoded(array, "PNG")))
    assert_same(frame, read_bytes(encoded(array, "TIFF", compression="tiff_lzw")))


def test_path_may_be_str_or_pathlike(tmp_path):
    array = noise(64, 70)
    Image.fromarray(array).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").gray, array)
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.png")).gray, array)


@pytest.mark.parametrize("image_format", ["JPEG", "WEBP"])
def test_lossy_files_are_read_as_pillow_reads_them(read_bytes, image_format):
    content = encoded(noise(70, 80), image_format)
    frame = read_bytes(content)
    np.testing.assert_array_equal(frame.gray, Image.open(io.BytesIO(content)).convert("L"))
    assert frame.notices == ()


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(noise(70, 80)),
        noise(140, 160)[::2, ::-2],
        noise(70, 80, 3)[:, :, :1],
        noise(70, 80).view(np.matrix),
        noise(70, 80),
        noise(70, 80) > 127,
        noise(70, 80).astype(np.uint16),
        noise(70, 80, 3),
    ],
    ids=["fortran", "strided", "one channel", "matrix", "plain", "bool", "uint16", "colour"],
)
def test_gray_is_contiguous_and_apart_from_the_callers_array(array):
    before = array.copy()
    gray = read_image(array).gray
    assert type(gray) is np.ndarray and gray.dtype == np.uint8 and gray.shape == (70, 80)
    assert gray.flags.c_contiguous and gray.flags.owndata and gray.flags.writeable
    assert not np.shares_memory(gray, array)
    gray ^= 255
    np.testing.assert_array_equal(array, before)


def test_pillow_image_is_left_as_it_was():
    image = Image.fromarray(noise(70, 80))
    before = image.copy()
    read_image(image).gray[:] = 0
    assert image == before


# Colour


def test_colour_becomes_itu_r_601_luma():
    array = np.zeros((64, 64, 3), np.uint8)
    array[:, :, 0], array[:, :, 1], array[:, :, 2] = 200, 100, 50
    # 0.299 * 200 + 0.587 * 100 + 0.114 * 50 = 124.2
    assert set(read_image(array).gray.flat) == {124}
    for channel, expected in enumerate([76, 150, 29]):  # 255 * 0.299, 0.587, 0.114
        pure = np.zeros((64, 64, 3), np.uint8)
        pure[:, :, channel] = 255
        assert set(read_image(pure).gray.flat) == {expected}


@given(gray_arrays)
@settings(max_examples=30, deadline=None)
def test_equal_channels_give_exactly_the_channel(array):
    frame = read_image(np.dstack([array] * 3))
    np.testing.assert_array_equal(frame.gray, array)
    assert frame.notices == ()


def coloured_pixels(rows, columns, colour):
    array = np.repeat(noise(100, 100)[:, :, None] // 4 + 60, 3, axis=2)
    array[:rows, :columns] = colour
    return array


@pytest.mark.parametrize(
    ("rows", "columns", "colour", "expected"),
    [
        (3, 3, (160, 70, 70), ["colour"]),  # one patch in 10 000 pixels: the share from which on it is said
        (3, 3, (70, 70, 160), ["colour"]),
        (2, 100, (160, 70, 70), []),  # a line is no patch
        (3, 3, (95, 70, 70), []),  # pale
        (9, 9, (70, 160, 70), []),  # green and yellow are calipers and logos
        (9, 9, (160, 150, 60), []),
        (60, 100, (40, 220, 40), ["colour"]),  # but not over half of the picture
    ],
)
def test_colour_notice_begins_at_its_limits(rows, columns, colour, expected):
    assert codes(read_image(coloured_pixels(rows, columns, colour))) == expected


@pytest.mark.parametrize("quality", [10, 50, 95])
def test_gray_saved_as_colour_jpeg_is_not_called_coloured(read_bytes, quality):
    frame = read_bytes(encoded(np.dstack([noise(80, 80)] * 3), "JPEG", quality=quality))
    assert frame.notices == ()


def test_doppler_box_in_a_jpeg_is_called_coloured(read_bytes):
    array = np.dstack([noise(80, 80)] * 3)
    array[10:30, 20:50] = (200, 30, 10)
    assert codes(read_bytes(encoded(array, "JPEG", quality=75))) == ["colour"]


# Alpha, palettes and other modes


def test_alpha_lies_on_black():
    array = np.full((64, 64, 4), 200, np.uint8)
    array[:, :32, 3], array[:32, 32:, 3], array[32:, 32:, 3] = 0, 255, 51  # 51 is a fifth
    gray = read_image(array).gray
    assert set(gray[:, :32].flat) == {0}
    assert set(gray[:32, 32:].flat) == {200}
    assert set(gray[32:, 32:].flat) == {40}
    np.testing.assert_array_equal(read_image(Image.fromarray(array).convert("LA")).gray, gray)


def test_transparent_gray_level_and_palette_entry_lie_on_black(read_bytes):
    array = noise(64, 64)
    array[:32] = 180
    expected = np.where(array == 180, 0, array)
    np.testing.assert_array_equal(read_bytes(encoded(array, "PNG", transparency=180)).gray, expected)
    palette = Image.fromarray(array).convert("P")
    content = encoded(palette, "PNG", transparency=bytes(0 if level == 180 else 255 for level in range(256)))
    np.testing.assert_array_equal(read_bytes(content).gray, expected)


def test_palette_is_looked_up(read_bytes):
    indices = (noise(64, 64) % 3).astype(np.uint8)
    image = Image.fromarray(indices).convert("P")
    image.putpalette([10, 10, 10, 240, 240, 240, 255, 0, 0])
    frame = read_bytes(encoded(image, "PNG"))
    np.testing.assert_array_equal(frame.gray, np.array([10, 240, 76])[indices])
    assert codes(frame) == ["colour"]


def test_one_bit_becomes_black_and_white(read_bytes):
    mask = noise(64, 70) > 127
    for frame in (
        read_image(mask),
        read_image(Image.fromarray(mask)),
        read_bytes(encoded(Image.fromarray(mask), "PNG")),
        read_bytes(encoded(Image.fromarray(mask), "TIFF")),
    ):
        np.testing.assert_array_equal(frame.gray, np.where(mask, 255, 0))
        assert frame.notices == ()


def test_cmyk_is_converted(read_bytes):
    ink = np.zeros((64, 64, 4), np.uint8)
    ink[:, :, 3] = noise(64, 64)  # black ink only
    frame = read_bytes(encoded(Image.frombytes("CMYK", (64, 64), ink.tobytes()), "TIFF"))
    np.testing.assert_array_equal(frame.gray, 255 - ink[:, :, 3])


@pytest.mark.parametrize(("mode", "rounding"), [("YCbCr", 1), ("HSV", 0), ("RGBa", 0), ("RGBX", 0), ("PA", 0)])
def test_other_pillow_modes_of_a_gray_picture(mode, rounding):
    array = noise(64, 64)
    image = Image.fromarray(array).convert("LA" if mode == "PA" else "RGBA" if mode == "RGBa" else "RGB")
    gray = read_image(image.convert(mode)).gray
    np.testing.assert_allclose(gray.astype(int), array, rtol=0, atol=rounding)


def test_white_is_zero_tiff_is_inverted(read_bytes):
    array = noise(64, 64)
    np.testing.assert_array_equal(read_bytes(encoded_tiff(array, photometric="miniswhite")).gray, 255 - array)


# Deeper than 8 bits


def test_rescaled_by_its_own_range():
    array = np.full((64, 64), 1000, np.uint16)
    array[0, :4] = 1000, 1510, 1100, 1303
    frame = read_image(array)  # two units a level
    assert frame.gray[0, :4].tolist() == [0, 255, 50, 152]  # 151.5 goes to the even level
    assert codes(frame) == ["rescaled"]
    assert frame.notices[0].text == "Pixel values 1000 to 1510 were stretched to 0 to 255."


deep_arrays = st.sampled_from(
    [np.uint16, np.int16, np.int8, np.int32, np.uint32, np.int64, np.uint64, np.float16, np.float32, np.float64]
).flatmap(
    lambda dtype: npst.arrays(
        dtype,
        (64, 65),
        elements={"allow_nan": False, "allow_infinity": False} if np.dtype(dtype).kind == "f" else None,
    )
)


@given(deep_arrays)
@settings(max_examples=80, deadline=None)
def test_rescaling_keeps_the_order_and_uses_the_whole_range(array):
    try:
        frame = read_image(array)
    except ImageError as error:  # only where the range itself overflows
        assert "infinite" in str(error) and float(array.max()) - float(array.min()) == np.inf
        return
    order = np.argsort(array, axis=None, kind="stable")
    assert (np.diff(frame.gray.ravel()[order].astype(int)) >= 0).all()
    assert frame.gray.min() == 0
    assert frame.gray.max() == (255 if float(array.max()) > float(array.min()) else 0)
    assert codes(frame) == ["rescaled"]


@pytest.mark.parametrize("value", [0, 7, 65535])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_constant_image_becomes_black(dtype, value):
    frame = read_image(np.full((64, 64), value, dtype))
    assert set(frame.gray.flat) == {0}
    assert codes(frame) == ["rescaled"]


@pytest.mark.parametrize(
    "array",
    [
        noise(64, 70).astype(np.uint16) * 16,
        noise(64, 70).astype(">u2") * 16,
        noise(64, 70).astype(np.int16) - 100,
        noise(64, 70).astype(np.int32) * -70_000,
        noise(64, 70).astype(np.float32) / 255,
    ],
    ids=["uint16", "big-endian uint16", "int16", "int32", "float32"],
)
def test_deep_files_equal_deep_arrays(read_bytes, array):
    frame = read_image(array)
    assert codes(frame) == ["rescaled"]
    assert_same(frame, read_bytes(encoded_tiff(array)))
    if array.dtype == np.uint16:
        assert_same(frame, read_bytes(encoded(array, "PNG")))
        assert_same(frame, read_image(Image.fromarray(array)))


def test_deep_colour_array_is_rescaled_over_all_channels():
    array = np.zeros((64, 64, 3), np.uint16)
    array[:, :, 0] = 510  # becomes 255 of red
    frame = read_image(array)
    assert set(frame.gray.flat) == {76}
    assert codes(frame) == ["rescaled", "colour"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite_is_refused(read_bytes, value):
    array = noise(64, 64).astype(np.float32)
    array[3, 4] = value
    expected = "The image holds NaN or infinite values; finite numbers are expected. Replace them."
    assert refusal(read_image, array) == expected
    assert refusal(read_bytes, encoded_tiff(array)) == expected


def test_number_beyond_float64_is_refused():
    array = noise(64, 64).astype(np.longdouble)
    array[0, 0] = np.finfo(np.longdouble).max  # where long double is float64, the range overflows below
    array[0, 1] = -array[0, 0]
    assert "infinite values" in refusal(read_image, array)


def test_kinds_that_pillow_misreads_are_refused(read_bytes):
    text = refusal(read_bytes, blank_png(64, 64, 16, 2))
    wanted = "8-bit colour, 8-bit or 16-bit gray is expected. Save it as a gray PNG."
    assert text == f"The file holds several channels of 16 bits; {wanted}"


def test_5_6_5_bit_bmp_is_not_mistaken_for_16_bits_a_channel(read_bytes):
    assert set(read_bytes(bmp_5_6_5()).gray.flat) == {255}


# Frames and turns


@pytest.mark.parametrize("image_format", ["GIF", "TIFF", "WEBP", "PNG"])
def test_first_of_several_frames(read_bytes, image_format):
    frames = [Image.fromarray(noise(64, 70, seed=seed)) for seed in range(3)]
    lossless = {"lossless": True} if image_format == "WEBP" else {}
    frame = read_bytes(encoded(frames[0], image_format, save_all=True, append_images=frames[1:], **lossless))
    np.testing.assert_array_equal(frame.gray, frames[0])
    assert codes(frame) == ["first_frame"]
    assert frame.notices[0].text == "The file holds 3 frames; this is of the first."


def test_frame_that_the_caller_chose_is_read_without_a_notice():
    frames = [Image.fromarray(noise(64, 70, seed=seed)) for seed in range(2)]
    image = Image.open(io.BytesIO(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:])))
    assert codes(read_image(image)) == ["first_frame"]
    image.seek(1)
    frame = read_image(image)
    np.testing.assert_array_equal(frame.gray, frames[1])
    assert frame.notices == ()


@pytest.mark.parametrize("image_format", ["GIF", "TIFF", "WEBP", "PNG"])
def test_any_frame_of_a_file_can_be_chosen(tmp_path, image_format):
    frames = [Image.fromarray(noise(64, 70, seed=seed)) for seed in range(3)]
    lossless = {"lossless": True} if image_format == "WEBP" else {}
    path = tmp_path / f"{SECRET}.bin"
    path.write_bytes(encoded(frames[0], image_format, save_all=True, append_images=frames[1:], **lossless))
    assert count_frames(path) == 3
    for number in (2, 0, 1):
        frame = read_image(path, number)
        np.testing.assert_array_equal(frame.gray, frames[number])
        assert frame.notices == ()
    expected = "Frame 4 was asked for; the file holds 3, counted from 1. Choose one of them."
    assert refusal(read_image, path, 3) == expected
    assert "Frame 0 was asked for" in refusal(read_image, path, -1)


def test_a_still_has_one_frame_and_a_picture_in_memory_no_choice(tmp_path):
    Image.fromarray(noise(64, 70)).save(tmp_path / "still.png")
    assert count_frames(tmp_path / "still.png") == 1
    np.testing.assert_array_equal(read_image(tmp_path / "still.png", 0).gray, noise(64, 70))
    assert "A frame can be chosen of a file only" in refusal(read_image, noise(64, 70), 0)
    assert "one with a damaged beginning" in refusal(count_frames, __file__)


def test_a_later_frame_is_checked_like_the_first(tmp_path):
    pages = [Image.fromarray(noise(64, 70)), Image.fromarray(noise(64, 40))]
    (tmp_path / "a.tif").write_bytes(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert "40x64 px; at least 64x64" in refusal(read_image, tmp_path / "a.tif", 1)


TURNS = {  # EXIF orientation: what makes the stored pixels upright
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP"])
def test_exif_turn_is_applied_once_and_told(read_bytes, image_format, orientation):
    array = noise(64, 90)
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"lossless": True} if image_format == "WEBP" else {}
    content = encoded(array, image_format, exif=exif, **lossless)
    frame = read_bytes(content)
    np.testing.assert_array_equal(frame.gray, TURNS[orientation](array))
    assert codes(frame) == ["exif_turned"]
    assert frame.gray.flags.c_contiguous
    assert_same(frame, read_image(Image.open(io.BytesIO(content))))


def test_exif_turn_of_16_bits_and_of_jpeg(read_bytes):
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = noise(64, 90).astype(np.uint16) * 257
    frame = read_bytes(encoded(deep, "PNG", exif=exif))
    np.testing.assert_array_equal(frame.gray, np.rot90(read_image(deep).gray, -1))
    assert codes(frame) == ["exif_turned", "rescaled"]
    assert read_bytes(encoded(noise(64, 90), "JPEG", exif=exif)).gray.shape == (90, 64)


@pytest.mark.parametrize("orientation", [0, 1, 9])
def test_upright_and_meaningless_orientations_say_nothing(read_bytes, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    frame = read_bytes(encoded(noise(64, 90), "PNG", exif=exif))
    np.testing.assert_array_equal(frame.gray, noise(64, 90))
    assert frame.notices == ()


# Refusals


WANTED = "a PNG, JPEG, BMP, TIFF, WebP, GIF or DICOM picture is expected"


def test_hand_made_png_is_read(read_bytes):  # or the refusals below would prove nothing
    assert read_bytes(png(64, 65, bytes(65 * 65))).gray.shape == (65, 64)


def test_eps_never_reaches_ghostscript(read_bytes, monkeypatch):
    def run(*arguments, **keywords):
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.check_call", run)
    monkeypatch.setattr("subprocess.Popen", run)
    assert "a PostScript document" in refusal(read_bytes, encoded(noise(64, 64), "EPS"))


DAMAGED = (
    "The file is damaged or incomplete: its pixels cannot be decoded. A whole picture is expected. "
    "Export or copy it again."
)
WHOLE = {
    "PNG": encoded(noise(64, 66), "PNG"),
    "JPEG": encoded(noise(64, 66), "JPEG"),
    "progressive JPEG": encoded(noise(64, 66), "JPEG", progressive=True),
    "BMP": encoded(noise(64, 66), "BMP"),
    "TIFF": encoded(noise(64, 66), "TIFF"),
    "strips first TIFF": encoded_tiff(noise(64, 66), rowsperstrip=16),
    "zlib TIFF": encoded_tiff(noise(64, 66), compression="zlib", rowsperstrip=16),
    "WEBP": encoded(noise(64, 66), "WEBP"),
    "GIF": encoded(noise(64, 66), "GIF"),
}


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.99])
def test_truncated_file_is_refused(read_bytes, kind, share):
    content = WHOLE[kind]
    assert read_bytes(content).gray.shape == (64, 66)
    text = refusal(read_bytes, content[: int(len(content) * share)])
    # What is missing decides: the index of a TIFF may lie at its end, a GIF may begin with its palette.
    assert text == DAMAGED or "one with a damaged beginning" in text


@given(st.sampled_from(sorted(WHOLE)), st.data())
@settings(max_examples=150, deadline=None)
def test_cut_anywhere_is_refused_or_whole(read_bytes, kind, data):
    content = WHOLE[kind]
    cut = data.draw(st.integers(0, len(content) - 1))
    try:
        frame = read_bytes(content[:cut])
    except ImageError:
        return
    np.testing.assert_array_equal(frame.gray, read_bytes(content).gray)


def test_png_with_one_wrong_bit_never_shows_other_pixels(read_bytes):
    array = noise(64, 66) // 64 * 64  # compressible: in such data a wrong bit often decodes without an error
    content = encoded(array, "PNG")
    refused = 0
    for position in range(len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1 << position % 8
        try:
            frame = read_bytes(bytes(damaged))
        except ImageError:
            refused += 1
        else:
            np.testing.assert_array_equal(frame.gray, array)
    assert refused > 0.95 * len(content)


@pytest.mark.parametrize("failure", [MemoryError(), struct.error("x"), SyntaxError("x"), OSError("x"), KeyError(1)])
@pytest.mark.parametrize("where", ["PIL.Image.open", "PIL.PngImagePlugin.PngImageFile.load"])
def test_whatever_pillow_raises_becomes_a_refusal(read_bytes, monkeypatch, failure, where):
    def fail(*arguments, **keywords):
        raise failure

    monkeypatch.setattr(where, fail)
    text = refusal(read_bytes, WHOLE["PNG"])
    memory = "The image does not fit into memory. Export one frame, or a smaller one."
    assert text == (memory if isinstance(failure, MemoryError) else DAMAGED)


@pytest.mark.parametrize(("width", "height"), [(63, 100), (100, 63), (31, 20), (1, 1)])
def test_small_pictures_are_refused(read_bytes, width, height):
    text = f"The image is {width}x{height} px; at least 64x64 is needed. Export the frame at full size."
    assert refusal(read_image, noise(height, width)) == text
    assert refusal(read_image, Image.fromarray(noise(height, width))) == text
    assert refusal(read_bytes, encoded(noise(height, width), "PNG")) == text


def test_large_pictures_are_refused_before_they_are_decoded(read_bytes):
    # Forty million pixels are claimed and none is there: decoding would say "damaged" instead.
    text = refusal(read_bytes, png(8000, 5001, b""))
    assert text == (
        "The image is 8000x5001 px, 40.0 megapixels; at most 40 megapixels are read. Crop it or export one frame."
    )
    assert refusal(read_bytes, png(8000, 5000, b"")) == DAMAGED
    assert "at most 40 megapixels" in refusal(read_image, np.broadcast_to(np.uint8(0), (5001, 8000)))


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_decompression_bombs_are_refused_where_warnings_are_errors(read_bytes):
    assert "far too many pixels; at most 40 megapixels" in refusal(read_bytes, png(10_000, 10_000, b""))


def test_paths_that_are_no_file(tmp_path):
    assert refusal(read_image, tmp_path) == f"A folder was given; {WANTED}. Choose one file."
    missing = refusal(read_image, tmp_path / SECRET / "scan.png")
    assert missing == f"The file cannot be opened (No such file or directory); {WANTED}. Check the path."
    assert "not a valid path" in refusal(read_image, f"{SECRET}\0.png")
    assert "File name too long" in refusal(read_image, SECRET * 100)
    assert refusal(read_image, "/dev/null") == f"A device or pipe was given; {WANTED}. Choose a file."


@pytest.mark.parametrize("shape", [(100,), (3, 100, 100), (100, 100, 2), (100, 100, 5), (2, 100, 100, 3)])
def test_other_array_shapes_are_refused(shape):
    text = refusal(read_image, np.zeros(shape, np.uint8))
    assert f"shape {shape}" in text and "(H, W, 3) or (H, W, 4) is expected. Give one picture" in text


@pytest.mark.parametrize("dtype", [np.complex64, "U1", object, "datetime64[s]"])
def test_other_array_types_are_refused(dtype):
    text = refusal(read_image, np.zeros((64, 64), dtype))
    assert f"type {np.dtype(dtype)} " in text and "bool, integers or floats are expected" in text


def test_alpha_of_unknown_range_is_refused():
    text = refusal(read_image, np.zeros((64, 64, 4), np.uint16))
    assert "type uint16" in text and "with alpha uint8" in text


@pytest.mark.parametrize("shape", [(0, 100), (100, 0), (0, 0, 3)])
def test_empty_arrays_are_refused(shape):
    assert "at least 64x64 is needed" in refusal(read_image, np.zeros(shape))


@pytest.mark.parametrize("source", [None, 5, b"abc", [[1, 2], [3, 4]]])
def test_other_objects_are_refused(source):
    text = refusal(read_image, source)
    assert text.startswith(f"{type(source).__name__} was given; a path, a Pillow image or a NumPy array is expected")
