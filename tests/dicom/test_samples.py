"""Real files of many makers, through the command line: whatever pydicom and pydicom-data ship. Each is read, refused
with a sentence or passed over by kind; nothing vanishes. (highdicom's package brings no files.)
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import data_store  # the package of pydicom-data
import pydicom
import pytest

from busi_model.batch.rows import ROWS
from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:::pydicom")]

FOLDERS = [Path(data_store.__file__).parent / "data", Path(pydicom.__file__).parent / "data" / "test_files"]
ULTRASOUND = {  # every sample that says it is one: millimetres a row, or the words that refuse it
    "ExplVR_BigEnd.dcm": "at least 64x64 is needed",
    "JPGLosslessP14SV1_1s_1f_8b.dcm": 0.2548,
    "OBXXXX1A.dcm": 0.2623,
    "OBXXXX1A_2frame.dcm": 0.2623,
    "OBXXXX1A_expb.dcm": 0.2623,
    "OBXXXX1A_expb_2frame.dcm": 0.2623,
    "OBXXXX1A_rle.dcm": 0.2623,
    "OBXXXX1A_rle_2frame.dcm": 0.2623,
    "US1_J2KI.dcm": None,
    "US1_J2KR.dcm": None,
    "US1_UNCI.dcm": None,
    "US1_UNCR.dcm": None,
    "color-pl.dcm": None,
    "color-px.dcm": None,
    "color3d_jpeg_baseline.dcm": 0.5105,
    "examples_jpeg2k.dcm": None,
    "examples_palette.dcm": None,
    "examples_rgb_color.dcm": None,
    "examples_ybr_color.dcm": None,
    "gdcm-US-ALOKA-16.dcm": 0.3827,
    "gdcm-US-ALOKA-16_big.dcm": 0.3827,
}
ONE_PICTURE = [  # kept in several ways
    ("OBXXXX1A.dcm", "OBXXXX1A_expb.dcm", "OBXXXX1A_rle.dcm"),
    ("OBXXXX1A_2frame.dcm", "OBXXXX1A_expb_2frame.dcm", "OBXXXX1A_rle_2frame.dcm"),
    ("US1_J2KI.dcm", "US1_UNCI.dcm"),
    ("US1_J2KR.dcm", "US1_UNCR.dcm", "examples_jpeg2k.dcm"),
    ("color-pl.dcm", "color-px.dcm"),
    ("gdcm-US-ALOKA-16.dcm", "gdcm-US-ALOKA-16_big.dcm"),
]


@pytest.fixture(scope="module")
def judged(weights, tmp_path_factory):
    """Rows by name, and what was printed. Without the detector of other pictures: the figures are to be compared."""
    out = tmp_path_factory.mktemp("samples")
    command = [sys.executable, "-m", "busi_model", "predict", "--weights", weights, "--device", "cpu"]
    command += ["--workers", "1", "--out", out, "--dicom-sr", *FOLDERS]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=1800)
    rows = [json.loads(line) for line in (out / ROWS).read_text(encoding="utf-8").splitlines()]
    return rows, done, out


def test_every_sample_is_read_refused_in_a_sentence_or_counted(judged):
    rows, done, _ = judged
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    for row in rows:
        if row["status"] == "failed":
            assert row["reason"].endswith(".") and "Error" not in row["reason"] and str(FOLDERS[0]) not in row["reason"]
    passed = int(re.search(r"(\d+) files or folders were passed over", done.stdout)[1])
    assert len(rows) + passed == sum(p.is_file() for folder in FOLDERS for p in folder.rglob("*")) > 200


def test_the_list_of_ultrasound_samples_is_whole():
    found = set()
    for path in (p for folder in FOLDERS for p in folder.rglob("*") if p.is_file()):
        try:
            tags = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            found |= {path.name} if tags.Modality == "US" and "Rows" in tags else set()
        except Exception:  # no DICOM
            continue
    assert found == set(ULTRASOUND)


def test_every_ultrasound_sample_is_judged_or_refused_as_expected(judged):
    rows, _, out = judged
    found = {Path(row["file"]).name: row for row in rows}
    for name, expected in ULTRASOUND.items():
        row = found[name]
        if isinstance(expected, str):
            assert row["status"] == "failed" and expected in row["reason"], name
            continue
        assert row["status"] == "ok", (name, row["reason"])
        assert row["row_mm"] == (None if expected is None else pytest.approx(expected, abs=1e-4)), name
        assert pydicom.dcmread(out / row["dicom_sr"]).Modality == "SR"  # a result can be tied to each
    for names in ONE_PICTURE:
        first, *others = (found[name] for name in names)
        for other in others:
            assert [other[key] for key in ("benign", "malignant", "normal")] == pytest.approx(
                [first[key] for key in ("benign", "malignant", "normal")], abs=1e-4
            )
            assert other["outlined_px2"] == pytest.approx(first["outlined_px2"], abs=3)
