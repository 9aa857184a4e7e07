"""DICOM results, read back by highdicom and pydicom: the geometry is the outline's, the identifiers are the study's."""

import base64
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import uid
from pydicom.sr.codedict import codes

from busi_model.__main__ import main
from busi_model.batch.rows import ROWS, TABLE
from busi_model.clinic.descriptors import describe
from busi_model.clinic.measure import measure_lesions
from busi_model.clinic.view import draw_overlay, outlines_xy
from busi_model.dicom_out import objects
from busi_model.dicom_out.write import IDENTIFIED, KINDS, DicomResultError, dicom_results
from busi_model.image import read_image
from busi_model.names import DESCRIPTOR_WORDS
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor
from busi_model.words import REFUSALS
from tests.conftest import ROOT
from tests.support.picture_files import dataset, region, written

NAME = "Иванова^Анна"
MODEL = {"version": "0", "weights_sha256": "ab" * 32}

pytestmark = pytest.mark.filterwarnings("ignore:::pydicom", "ignore:::highdicom")


def study(pixels, n_frames=1, **tags):
    identity = {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": NAME,
        "PatientID": "SECRETID77",
        "StudyInstanceUID": "1.2.840.1",
        "SeriesInstanceUID": "1.2.840.1.2",
        "SOPInstanceUID": f"1.2.840.1.2.{n_frames}",
        "StudyDate": "20260102",
    }
    ds = dataset(pixels, n_frames=n_frames, **identity, **tags)
    ds.SOPClassUID = uid.UltrasoundMultiFrameImageStorage if n_frames > 1 else uid.UltrasoundImageStorage
    return ds


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A still, a cine loop, a still with flat pixels, and what nothing can be filed for."""
    folder = tmp_path_factory.mktemp("source")
    gray, _ = draw_phantom("malignant", 1, 300, 400)
    other, _ = draw_phantom("benign", 2, 300, 400)
    files = {
        "still.dcm": study(gray, SequenceOfUltrasoundRegions=[region((0, 0, 399, 299), 0.02, 0.02)]),
        "cine.dcm": study(np.stack([gray, other, gray]), 3),
        "flat.dcm": study(gray[::2], PixelAspectRatio=[2, 1]),
        "blank.dcm": study(np.full((80, 90), 9, np.uint8)),
        "no study.dcm": dataset(gray),
    }
    for name, ds in files.items():
        (folder / name).write_bytes(written(ds))
    Image.fromarray(gray).save(folder / "picture.png")
    return folder


@pytest.fixture(scope="module")
def run(source, weights, tmp_path_factory):
    """The rows of a run by name, its folder, and what was printed."""
    out = tmp_path_factory.mktemp("out")
    printed, sys.stdout = sys.stdout, io.StringIO()
    try:
        options = ["--dicom-seg", "--dicom-sr", "--dicom-sc", "--overlays", "--measurements", "--masks"]
        code = main(["predict", "--device", "cpu", "--weights", str(weights), "--out", str(out), *options, str(source)])
        said = sys.stdout.getvalue()
    finally:
        sys.stdout = printed
    assert code == 0
    rows = [json.loads(line) for line in (out / ROWS).read_text(encoding="utf-8").splitlines()]
    return {Path(row["file"]).name: row for row in rows}, out, said


@pytest.fixture(scope="module")
def predicted(source, weights):
    predictor = Predictor.load(weights, device="cpu")
    return {name: predictor(read_image(source / name)) for name in ("still.dcm", "cine.dcm", "flat.dcm")}


NAMES = ("still.dcm", "cine.dcm", "flat.dcm")


def object_of(run, name, kind):
    rows, out, _ = run
    return out / rows[name][f"dicom_{kind}"]


def _frame_numbers(ds):
    return {int(np.ravel(element.value)[0]) for element in ds.iterall() if element.keyword == "ReferencedFrameNumber"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_result_belongs_to_its_study(run, source, name, kind):
    ds, original = pydicom.dcmread(object_of(run, name, kind)), pydicom.dcmread(source / name)
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate"):
        assert ds[keyword].value == original[keyword].value, keyword
    assert ds.SeriesInstanceUID != original.SeriesInstanceUID and ds.SOPInstanceUID != original.SOPInstanceUID
    references = [
        item
        for element in ds.iterall()
        if element.VR == "SQ"
        for item in element.value
        if item.get("ReferencedSOPInstanceUID") == original.SOPInstanceUID
    ]
    assert references and {item.ReferencedSOPClassUID for item in references} == {original.SOPClassUID}
    assert _frame_numbers(ds) == ({2} if name == "cine.dcm" else set())
    assert ds.SeriesDescription.endswith("(research)")


@pytest.mark.parametrize("name", NAMES)
def test_a_segmentation_is_the_mask(run, predicted, name):
    mask = predicted[name].mask
    seg = hd.seg.segread(object_of(run, name, "seg"))
    pixels = np.atleast_3d(pydicom.dcmread(object_of(run, name, "seg")).pixel_array.T).T  # (segments, H, W)
    assert pixels.shape == (seg.number_of_segments, *mask.shape) and mask.any()
    np.testing.assert_array_equal(pixels.max(axis=0) > 0, mask)
    assert seg.number_of_segments == len(outlines_xy(mask))
    assert seg.get_segment_description(1).segment_label == "Lesion 1"
    assert seg.get_segment_description(1).algorithm_identification[0].AlgorithmName == "BUSI"


@pytest.mark.parametrize("name", NAMES)
def test_a_report_has_the_outlines_and_the_measurements(run, predicted, name):
    prediction = predicted[name]
    frame = prediction.frame
    lesions = measure_lesions(prediction.mask, prediction.margin, frame.spacing_mm, frame.pixel_aspect)
    content = hd.sr.srread(object_of(run, name, "sr")).content
    groups = content.get_planar_roi_measurement_groups()
    assert len(groups) == len(lesions) > 0
    for group, lesion in zip(groups, lesions, strict=True):
        points = group.roi.value
        assert points.shape == lesion.outline_xy.shape
        assert np.abs(points - 0.5 - lesion.outline_xy).max() < 0.01  # px; the corner of the first pixel is 0, 0
        unit = "px" if frame.spacing_mm is None else "mm"
        (area,) = group.get_measurements(codes.SCT.Area)
        (length,) = group.get_measurements(codes.SCT.LongAxis)
        assert area.value == pytest.approx(getattr(lesion, f"area_{unit}2"), abs=0.001)
        assert length.value == pytest.approx(getattr(lesion, f"longest_axis_{unit}"), abs=0.001)
        assert length.unit.value == ("mm" if unit == "mm" else "{pixels}")
    (picture,) = content.get_image_measurement_groups()
    probabilities = [measurement.value for measurement in picture.get_measurements()]
    assert probabilities == pytest.approx([100 * p for p in prediction.class_probabilities.values()], abs=0.01)
    meanings = [evaluation.value.meaning.lower() for evaluation in picture.get_qualitative_evaluations()]
    assert meanings[-1] == prediction.label


@pytest.mark.parametrize("name", NAMES)
def test_a_report_has_the_descriptors_and_what_each_word_is_worth(run, predicted, name):
    prediction = predicted[name]
    frame = prediction.frame
    lesions = measure_lesions(prediction.mask, prediction.margin, frame.spacing_mm, frame.pixel_aspect)
    groups = hd.sr.srread(object_of(run, name, "sr")).content.get_planar_roi_measurement_groups()
    said = []
    for group, lesion in zip(groups, lesions, strict=True):
        numbers = {m.name.value: m.value for m in group.get_measurements() if m.name.scheme_designator == "99BUSI"}
        words = {e.value.meaning for e in group.get_qualitative_evaluations() if e.name.scheme_designator == "99BUSI"}
        comments = [str(i.TextValue) for i in group[0].ContentSequence if i.name == codes.DCM.Comment]
        for one in describe(frame.gray, lesion):
            expected = None if one.number is None else pytest.approx(one.number, abs=1e-4)
            assert numbers.get(f"busi-{one.name}") == expected
            assert (one.word in words) == (one.word is not None)
            if one.word:
                (comment,) = [text for text in comments if f": {one.word};" in text]
                assert str(one.agreement) in comment and "by measurement" in comment
                said.append(one.word)
        assert len(words) == len(comments)
    assert said


def test_every_word_has_a_code_that_dicom_takes():
    coded = [*objects._CODE_OF_WORD.values(), *(concept.value for concept in objects._WORD_OF.values())]
    assert set(objects._CODE_OF_WORD) == {word for pair in DESCRIPTOR_WORDS.values() for word in pair}
    assert len(set(coded)) == len(coded) and max(map(len, coded)) <= 16  # a code value's limit


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_is_the_overlay(run, predicted, name):
    frame = predicted[name].frame
    ds = pydicom.dcmread(object_of(run, name, "sc"))
    np.testing.assert_array_equal(ds.pixel_array, draw_overlay(frame.gray, predicted[name].mask))
    assert ds.get("PixelSpacing") == (None if frame.spacing_mm is None else pytest.approx(frame.spacing_mm))
    again = read_image(object_of(run, name, "sc"))
    assert again.pixel_aspect == pytest.approx(frame.pixel_aspect) and again.spacing_mm == frame.spacing_mm


@pytest.fixture(scope="module")
def in_a_viewer(run):
    """What dcmjs, the parser of OHIF and Cornerstone, finds in all results: by picture and kind."""
    node = shutil.which("node")
    if node is None or subprocess.run([node, "-e", "require('dcmjs')"], capture_output=True).returncode:
        pytest.skip("dcmjs is not installed (npm install dcmjs, NODE_PATH); .ci/run brings it")
    wanted = [(name, kind) for name in NAMES for kind in KINDS]
    files = [object_of(run, *one) for one in wanted]
    done = subprocess.run([node, ROOT / "tests/dicom/viewer.js", *files], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return dict(zip(wanted, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.slow
@pytest.mark.dcmjs
@pytest.mark.parametrize("name", NAMES)
def test_a_viewers_parser_finds_the_same(in_a_viewer, predicted, name):
    prediction = predicted[name]
    frame, mask = prediction.frame, prediction.mask
    seg, sr, sc = (in_a_viewer[name, kind] for kind in KINDS)
    assert [found["modality"] for found in (seg, sr, sc)] == ["SEG", "SR", "OT"]
    assert {(found["name"], found["study"]) for found in (seg, sr, sc)} == {(NAME, "1.2.840.1")}

    masks = np.frombuffer(base64.b64decode(seg["pixels"]), np.uint8)[: np.prod(seg["frames"])].reshape(seg["frames"])
    np.testing.assert_array_equal(masks.any(axis=0), mask)
    assert seg["labels"] == [f"Lesion {number}" for number in range(1, len(masks) + 1)]

    lesions = measure_lesions(mask, prediction.margin, frame.spacing_mm, frame.pixel_aspect)
    unit, code = ("px", "{pixels}") if frame.spacing_mm is None else ("mm", "mm")
    for points, lesion in zip(sr["outlines"], lesions, strict=True):
        assert np.abs(np.reshape(points, (-1, 2)) - 0.5 - lesion.outline_xy).max() < 0.01
        length = getattr(lesion, f"longest_axis_{unit}")
        assert ["Long axis", pytest.approx(length, abs=0.001), code] in sr["measured"]
    shares = [value for _, value, units in sr["measured"] if units == "%"]
    assert shares == pytest.approx([100 * p for p in prediction.class_probabilities.values()], abs=0.01)

    pixels = np.frombuffer(base64.b64decode(sc["pixels"]), np.uint8)[: np.prod(sc["frames"])].reshape(sc["frames"])
    np.testing.assert_array_equal(pixels, draw_overlay(frame.gray, mask))


def test_identifiers_stay_in_dicom_results_and_that_is_said(run):
    rows, out, said = run
    assert IDENTIFIED in said
    files = [path for path in out.rglob("*") if path.is_file() and path.suffix != ".dcm"]
    assert len(files) >= 8 and out / TABLE in files
    for path in files:
        content = path.read_bytes()
        assert b"SECRETID77" not in content and NAME.encode() not in content and b"1.2.840.1" not in content, path.name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("picture.png", "belong to a study, and this file is no DICOM picture"),
        ("no study.dcm", "lacks StudyInstanceUID"),
        ("blank.dcm", "was refused, so nothing is filed"),
    ],
)
def test_what_nothing_is_filed_for_is_said(run, name, words):
    row = run[0][name]
    assert row["warnings"][-1]["code"] == "no_dicom_result" and words in row["warnings"][-1]["text"]
    assert "dicom_seg" not in row and "Иванова" not in row["warnings"][-1]["text"]


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ({"PatientID": "7" * 3000}, "more than 1024 letters"),
        ({"StudyDate": b"\xff\xfe^\0"}, ""),
        ({"PatientName": ""}, None),
    ],
)
def test_odd_identifiers_end_in_a_sentence_or_a_result(predicted, tmp_path, tags, words):
    ds = study(draw_phantom("malignant", 1, 300, 400)[0])
    for keyword, value in tags.items():
        vr = "OB" if isinstance(value, bytes) else ds[keyword].VR
        ds[keyword] = pydicom.DataElement(keyword, vr, value, validation_mode=pydicom.config.IGNORE)
    (tmp_path / "odd.dcm").write_bytes(written(ds))
    try:
        made = dicom_results(tmp_path / "odd.dcm", predicted["still.dcm"], [], MODEL, ("sr",))
    except DicomResultError as error:
        assert words is not None and words in str(error) and str(error).endswith(".") and "7777" not in str(error)
    else:
        assert words != "more than 1024 letters" and pydicom.dcmread(io.BytesIO(made["sr"])).StudyInstanceUID


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("1994.05.01", "11:20:00", ("19940501", "112000")),
        ("19940501", "112000.25", ("19940501", "112000.25")),
        ("19941399", "99", ("", "")),
        ("soon", "noon", ("", "")),
    ],
)
def test_dates_of_old_files_are_taken_and_useless_ones_cost_no_result(predicted, tmp_path, date, time, expected):
    ds = study(draw_phantom("malignant", 1, 300, 400)[0])
    for keyword, value in (("StudyDate", date), ("StudyTime", time)):
        vr = pydicom.datadict.dictionary_VR(keyword)
        ds[keyword] = pydicom.DataElement(keyword, vr, value, validation_mode=pydicom.config.IGNORE)
    (tmp_path / "old.dcm").write_bytes(written(ds))
    made = dicom_results(tmp_path / "old.dcm", predicted["still.dcm"], [], MODEL)
    assert set(made) == set(KINDS)
    for content in made.values():
        read_back = pydicom.dcmread(io.BytesIO(content))
        assert (read_back.StudyDate or "", read_back.StudyTime or "") == expected


@pytest.mark.parametrize("sop_class", ["1.2.840.10008.5.1.4.1.1.6", "1.2.840.113619.4.99", "1.2.840.10008.5.1.4.1.1.3"])
def test_pictures_of_retired_and_private_classes_get_results(predicted, tmp_path, sop_class):
    gray, n_frames = draw_phantom("malignant", 1, 300, 400)[0], 3 if sop_class.endswith("1.1.3") else 1
    ds = study(np.stack([gray] * n_frames) if n_frames > 1 else gray, n_frames)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
    (tmp_path / "old.dcm").write_bytes(written(ds))
    prediction = predicted["still.dcm"]
    lesions = measure_lesions(prediction.mask, prediction.margin, None, 1.0)
    for kind, content in dicom_results(tmp_path / "old.dcm", prediction, lesions, MODEL).items():
        read_back = pydicom.dcmread(io.BytesIO(content))
        items = [item for element in read_back.iterall() if element.VR == "SQ" for item in element.value]
        own = {
            item.ReferencedSOPClassUID for item in items if item.get("ReferencedSOPInstanceUID") == ds.SOPInstanceUID
        }
        assert own == {sop_class}, kind


@pytest.mark.slow
def test_no_name_is_printed_beside_the_results(untrained, tmp_path):
    """highdicom warns of a name in one piece, and says it."""
    ds = study(draw_phantom("malignant", 1, 300, 400)[0])
    ds.PatientName = "PLATO"
    (tmp_path / "old.dcm").write_bytes(written(ds))
    command = [sys.executable, "-m", "busi_model", "predict", "--weights", untrained, "--device", "cpu"]
    command += ["--dicom-sr", "--dicom-sc", "--out", tmp_path / "out", tmp_path / "old.dcm"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "PLATO" not in done.stdout + done.stderr
    assert any(b"PLATO" in path.read_bytes() for path in (tmp_path / "out" / "dicom").iterdir())


def test_sending_twice_keeps_one(source, predicted):
    prediction = predicted["cine.dcm"]
    once, twice = (dicom_results(source / "cine.dcm", prediction, [], MODEL, ("sr",))["sr"] for _ in range(2))
    other = dicom_results(source / "cine.dcm", prediction, [], MODEL, ("sr",), frame=0)["sr"]
    changed = dicom_results(source / "cine.dcm", prediction, [], {**MODEL, "weights_sha256": "cd" * 32}, ("sr",))["sr"]
    uids = [pydicom.dcmread(io.BytesIO(content)).SOPInstanceUID for content in (once, twice, other, changed)]
    assert uids[0] == uids[1] and len(set(uids)) == 3


def test_without_a_lesion_there_is_no_segmentation(source, predicted):
    from dataclasses import replace

    nothing = replace(predicted["still.dcm"], mask=np.zeros_like(predicted["still.dcm"].mask))
    made = dicom_results(source / "still.dcm", nothing, [], MODEL)
    assert set(made) == {"sr", "sc"}
    content = hd.sr.srread(io.BytesIO(made["sr"])).content
    assert content.get_planar_roi_measurement_groups() == [] and len(content.get_image_measurement_groups()) == 1


def test_without_the_extra_the_sentence_names_it(source, weights, predicted, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(DicomResultError, match=r"pip install '\.\[dicom\]'"):
        dicom_results(source / "still.dcm", predicted["still.dcm"], [], MODEL)
    arguments = ["predict", "--weights", str(weights), "--dicom-seg", "--out", str(tmp_path / "out"), str(source)]
    assert main(arguments) == 2
    assert REFUSALS["no_highdicom"] in capsys.readouterr().err
    assert main([*arguments[:4], str(source)]) == 2
    assert "need a folder to go to" in capsys.readouterr().err
