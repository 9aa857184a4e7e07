"""Films and the compressions of the extra `dicom`: each frame is its own, damage is a sentence and no crash."""

import base64
import io
import subprocess
import sys

import cv2
import jpeg_ls  # comes with highdicom
import numpy as np
import pytest
from pydicom import uid
from pydicom.data import get_testdata_file

from busi_model.decode.film import is_film
from busi_model.image import ImageError, count_frames, read_image
from tests.conftest import ROOT
from tests.support.picture_files import dataset, noise, written

pytestmark = pytest.mark.filterwarnings("ignore:::pydicom")
LEVELS = [20 + 30 * number for number in range(6)]

# 64 rows of 80 columns, 2 x + y, by OpenJPH: nothing that we may ask for writes HTJ2K.
HTJ2K = base64.b64decode(
    b"/0//UQApQAAAAABQAAAAQAAAAAAAAAAAAAAAUAAAAEAAAAAAAAAAAAABBwEB/1AACAACAAAAAv9SAAwAAgABAAUEBEAB/1wAEyBI"
    b"UFBQUFBQUFBQUFBQSEhI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAMEAAf+TwCrA/zX/GgP6EEG9lQDAEcATgBJz"
    b"AKIQACR3VQDAFRAFSKIQ4tfgC3UAEADg5kfJ7LYAwBWQBXAAAAAA7+Cnp6fCeAAIAACA/oE9knv2Sey6AMAWnAFogAAAAAAAAPx/"
    b"gKenp6enp6dCfQACAOD/eifv3+/f79/v3+y+AMAtmAWyAAAAAP8v/1T09PT09PT09PT09PT09PJ1AQAAAAAA/3/1w66666666666"
    b"66666666lAH/2Q=="
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Six frames of 96 x 80 px, each of one level."""
    folder = tmp_path_factory.mktemp("clips")
    for name, code in (("clip.mp4", "mp4v"), ("clip.avi", "MJPG")):
        writer = cv2.VideoWriter(str(folder / name), cv2.VideoWriter_fourcc(*code), 10, (96, 80))
        for level in LEVELS:
            writer.write(np.full((80, 96, 3), level, np.uint8))
        writer.release()
    return folder


def film_dicom(content, **tags):
    shape = np.zeros((80, 96, 3), np.uint8)
    content += b"\0" * (len(content) % 2)
    tags = {"NumberOfFrames": 6, **tags}
    return dataset(shape, uid.MPEG4HP41, "YBR_PARTIAL_420", encoded=[content[:600], content[600:]], **tags)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi"])
def test_every_frame_of_a_clip_in_any_order(clips, name):
    assert is_film((clips / name).read_bytes())
    assert count_frames(clips / name) == 6
    for number in (4, 0, 5, 2):
        frame = read_image(clips / name, number)
        assert frame.gray.shape == (80, 96) and abs(frame.gray.mean() - LEVELS[number]) < 4 and frame.notices == ()
    middle = read_image(clips / name)
    assert abs(middle.gray.mean() - LEVELS[3]) < 4
    assert [notice.code for notice in middle.notices] == ["middle_frame"]
    with pytest.raises(ImageError, match="Frame 7 was asked for; the file holds 6"):
        read_image(clips / name, 6)


def test_a_dicom_film_cut_into_fragments(clips, tmp_path):
    path = tmp_path / "film.dcm"
    path.write_bytes(written(film_dicom((clips / "clip.mp4").read_bytes())))
    assert count_frames(path) == 6
    for number, level in enumerate(LEVELS):
        assert abs(read_image(path, number).gray.mean() - level) < 4


@pytest.mark.parametrize("tags", [{"Rows": 90}, {"NumberOfFrames": 7}, {"NumberOfFrames": 2000}])
def test_a_dicom_film_that_lies_is_refused(clips, tmp_path, tags):
    path = tmp_path / "film.dcm"
    path.write_bytes(written(film_dicom((clips / "clip.mp4").read_bytes(), **tags)))
    with pytest.raises(ImageError):
        read_image(path, 6)


def test_a_list_of_addresses_never_reaches_the_player(tmp_path):
    path = tmp_path / "film.dcm"
    path.write_bytes(written(film_dicom(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n" + bytes(700))))
    with pytest.raises(ImageError, match="damaged or incomplete"):
        read_image(path)


def test_jpeg_ls_and_htj2k_are_exact(tmp_path):
    path, gray = tmp_path / "scan.dcm", noise(64, 70)
    content = bytes(jpeg_ls.encode_array(gray))
    path.write_bytes(written(dataset(gray, uid.JPEGLSLossless, encoded=[content + b"\0" * (len(content) % 2)])))
    np.testing.assert_array_equal(read_image(path).gray, gray)
    y, x = np.mgrid[:64, :80]
    gray = (2 * x + y).astype(np.uint8)
    for syntax in (uid.HTJ2KLossless, uid.HTJ2K):
        path.write_bytes(written(dataset(gray, syntax, encoded=[HTJ2K + b"\0" * (len(HTJ2K) % 2)])))
        np.testing.assert_array_equal(read_image(path).gray, gray)


def test_jpeg_lossless_of_another_maker_is_its_uncompressed_twin():
    lossless = read_image(get_testdata_file("SC_rgb_jpeg_gdcm.dcm", download=False))
    plain = read_image(get_testdata_file("SC_rgb.dcm", download=False) or get_testdata_file("SC_rgb_rle.dcm"))
    np.testing.assert_array_equal(lossless.gray, plain.gray)


@pytest.mark.parametrize("tags", [{"Rows": 65}, {"Columns": 6400}, {"SamplesPerPixel": 3, "PlanarConfiguration": 0}])
def test_a_codestream_of_another_size_is_refused(tmp_path, tags):
    path, gray = tmp_path / "scan.dcm", noise(64, 70)
    content = bytes(jpeg_ls.encode_array(gray))
    ds = dataset(gray, uid.JPEGLSLossless, encoded=[content + b"\0" * (len(content) % 2)], **tags)
    path.write_bytes(written(ds))
    with pytest.raises(ImageError, match="damaged or incomplete"):
        read_image(path)


def test_without_the_extra_the_sentence_names_it(clips, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    path = tmp_path / "film.dcm"
    path.write_bytes(written(film_dicom((clips / "clip.mp4").read_bytes())))
    files = [path, clips / "clip.mp4", clips / "clip.avi"]
    names = ("SC_rgb_jpeg_gdcm.dcm", "MR_small_jpeg_ls_lossless.dcm")
    files += [get_testdata_file(name, download=False) for name in names]
    for file in files:
        for ask in (read_image, count_frames):
            with pytest.raises(ImageError, match=r"`pip install '\.\[dicom\]'` in BUSI's folder brings"):
                ask(file)


DAMAGE = """
import io, sys, numpy as np
from busi_model.image import ImageError, read_image
rng, path, tried = np.random.default_rng(0), sys.argv[1], 0
for name in sys.argv[2:]:
    content = open(name, "rb").read()
    for number in range(12):
        bad = bytearray(content)
        for at in rng.integers(len(bad) // 8, len(bad), 1 + number % 6):
            bad[at] = rng.integers(256)
        open(path, "wb").write(bad[: len(bad) - number * len(bad) // 20])
        try:
            read_image(path)
        except ImageError:
            tried += 1
print("refused", tried)
"""


@pytest.mark.slow
def test_damage_is_a_sentence_and_no_crash(clips, tmp_path):
    """The decoders are C and C++: a crash would end the process."""
    film = tmp_path / "film.dcm"
    film.write_bytes(written(film_dicom((clips / "clip.mp4").read_bytes())))
    names = [clips / "clip.mp4", clips / "clip.avi", film]
    names += [get_testdata_file(f"{n}.dcm", download=False) for n in ("SC_rgb_jpeg_gdcm", "MR_small_jpeg_ls_lossless")]
    command = [sys.executable, "-W", "ignore", "-c", DAMAGE, *map(str, [tmp_path / "bad", *names])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) > 15


def test_what_is_no_film_is_not_taken_for_one():
    assert not is_film(b"\0\0\0\x1cftypheic") and not is_film(b"RIFF\0\0\0\0WEBP") and not is_film(b"")
    assert not is_film(io.BytesIO(b"plain words").read())
