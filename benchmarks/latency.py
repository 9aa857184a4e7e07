"""From a file to a Prediction: how long, and which part takes it."""

import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

from benchmarks.measure import compare, table
from busi_model.clinic.view import draw_overlay, encode_png
from busi_model.image import read_image
from busi_model.phantom import draw_phantom
from busi_model.predict import Predictor

KINDS = (("PNG", 300, 250), ("PNG", 600, 500), ("JPEG", 600, 500), ("DICOM", 600, 500), ("PNG", 1200, 1000))
KINDS += (("PNG", 3000, 2500),)  # format, width, height


def run(weights) -> list[dict]:
    predictor = Predictor.load(weights, "cpu")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, width, height in KINDS:
            gray = draw_phantom("malignant", 1, height, width)[0]
            path = _write(Path(folder, f"{kind}{width}"), kind, gray)
            frame = read_image(path)
            prediction = predictor(frame)
            ms = compare(
                {
                    "all": lambda path=path: predictor(path),
                    "decode": lambda path=path: read_image(path),
                    "preprocess": lambda gray=frame.gray: predictor.preprocess(gray),
                    "logits": lambda gray=frame.gray: predictor.logits([gray]),
                    "frame": lambda frame=frame: predictor(frame),
                    "view": lambda p=prediction: encode_png(draw_overlay(p.frame.gray, p.mask)),
                },
                repeats=15,
            )
            parts = [ms["decode"], ms["preprocess"], ms["logits"] - ms["preprocess"], ms["frame"] - ms["logits"]]
            shares = [f"{100 * part / sum(parts):.0f} %" for part in parts]
            rows.append([f"{kind}, {width} x {height}", ms["all"], *shares, ms["view"]])
    columns = [
        "file",
        "file to Prediction, ms",
        "decode",
        "preprocess",
        "network",
        "decide and warn",
        "overlay PNG, ms",
    ]
    return [table("File to Prediction", columns, rows, "Median; the overlay is drawn only where it is asked for.")]


def _write(path: Path, kind: str, gray: np.ndarray) -> Path:
    if kind != "DICOM":
        Image.fromarray(gray).save(path, format=kind)
        return path
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UltrasoundImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(io.BytesIO(), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Modality, dataset.PhotometricInterpretation = "US", "MONOCHROME2"
    dataset.Rows, dataset.Columns = gray.shape
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = gray.tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return path
