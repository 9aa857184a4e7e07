"""The example of docs/orthanc.md as it stands there: a study is fetched, judged, and has its results. The server is a
stand-in that keeps to DICOM PS3.18 where the example needs it; Orthanc itself too, where it is installed."""

import contextlib
import email.policy
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import numpy as np
import pydicom
import pytest

from busi_model.phantom import draw_phantom
from tests.conftest import ROOT
from tests.dicom.test_dicom_out import NAME, study
from tests.support.examples import example
from tests.support.panel import free_port
from tests.support.picture_files import written

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:::pydicom")]
STUDY = "1.2.840.1"
JSON = "application/dicom+json"
BOUNDARY = "a.boundary-with+signs"


class Archive(BaseHTTPRequestHandler):
    """QIDO-RS for series and instances, WADO-RS for an instance, STOW-RS; kept in `server.files` by UID."""

    def do_GET(self):
        url = urlsplit(self.path)
        found = re.fullmatch(r"/dicom-web/studies/([\d.]+)/series(?:/([\d.]+)/instances(?:/([\d.]+))?)?", url.path)
        if not found:
            return self.answer(404, b"")
        asked, series, instance = found.groups()
        files = [pydicom.dcmread(io.BytesIO(content)) for content in self.server.files.values()]
        files = [ds for ds in files if ds.StudyInstanceUID == asked and series in (None, ds.SeriesInstanceUID)]
        if instance:
            if "application/dicom" not in self.headers["Accept"] or instance not in self.server.files:
                return self.answer(406, b"")
            head = f"--{BOUNDARY}\r\nContent-Type: application/dicom; transfer-syntax=*\r\n\r\n".encode()
            body = b"\r\n" + head + self.server.files[instance] + f"\r\n--{BOUNDARY}--\r\n".encode()
            return self.answer(200, body, f'multipart/related; type="application/dicom"; boundary="{BOUNDARY}"')
        if self.headers["Accept"] != JSON:
            return self.answer(406, b"")
        modality = parse_qs(url.query).get("Modality", [None])[0]
        key, tag = ("SOPInstanceUID", "00080018") if series else ("SeriesInstanceUID", "0020000E")
        uids = sorted({ds[key].value for ds in files if modality in (None, ds.Modality)})
        items = [{tag: {"vr": "UI", "Value": [uid]}} for uid in uids]
        return self.answer(200 if items else 204, json.dumps(items).encode() if items else b"", JSON)

    def do_POST(self):
        kind, length = self.headers["Content-Type"], int(self.headers["Content-Length"])
        parser = BytesParser(policy=email.policy.HTTP)
        parts = parser.parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + self.rfile.read(length))
        if self.path != "/dicom-web/studies" or parts.get_content_type() != "multipart/related":
            return self.answer(415, b"")
        failed = 0
        for part in parts.iter_parts():
            content = part.get_payload(decode=True)
            ds = pydicom.dcmread(io.BytesIO(content))
            if part.get_content_type() != "application/dicom" or ds.Modality in self.server.refused:
                failed += 1
            else:
                self.server.files[ds.SOPInstanceUID] = content
        text = {"00081198": {"vr": "SQ", **({"Value": [{}] * failed} if failed else {})}, "00081199": {"vr": "SQ"}}
        return self.answer(409 if failed else 200, json.dumps(text).encode(), JSON)

    def answer(self, status, body, kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def stand_in(folder):
    with ThreadingHTTPServer(("127.0.0.1", 0), Archive) as server:
        server.files, server.refused = {}, set()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/dicom-web", server
        finally:
            server.shutdown()


@contextlib.contextmanager
def orthanc(folder):
    port = free_port()
    settings = {"HttpPort": port, "DicomServerEnabled": False, "RemoteAccessAllowed": False}
    settings |= {"StorageDirectory": str(folder / "kept"), "IndexDirectory": str(folder / "kept")}
    settings |= {
        "AuthenticationEnabled": False,
        "Plugins": ["/usr/share/orthanc/plugins"],
        "DicomWeb": {"Enable": True},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(["Orthanc", folder / "orthanc.json"], stdout=log, stderr=log)
    try:
        address = f"http://127.0.0.1:{port}/dicom-web"
        for _ in range(300):
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{address}/studies").status_code == 200:
                    break
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.2)
        yield address, None
    finally:
        process.terminate()
        process.wait(60)


SERVERS = [stand_in, *[orthanc] * bool(shutil.which("Orthanc"))]


@pytest.fixture(params=SERVERS, ids=lambda server: server.__name__)
def archive(request, tmp_path):
    """Address and server, with a study of a still and a clip, and a report that is no ultrasound."""
    still, clip = draw_phantom("malignant", 1, 200, 260)[0], draw_phantom("benign", 2, 200, 260)[0]
    files = [study(still), study(np.stack([clip, still]), 2)]
    report = study(still, Modality="OT")
    report.SeriesInstanceUID, report.SOPInstanceUID = "1.2.840.1.9", "1.2.840.1.9.1"
    other = study(still)
    other.StudyInstanceUID, other.SeriesInstanceUID, other.SOPInstanceUID = "1.2.840.7", "1.2.840.7.2", "1.2.840.7.2.1"
    with request.param(tmp_path) as (address, server):
        for ds in (*files, report, other):
            ds.file_meta.MediaStorageSOPInstanceUID, ds.file_meta.MediaStorageSOPClassUID = (
                ds.SOPInstanceUID,
                ds.SOPClassUID,
            )
            body = b"--x\r\nContent-Type: application/dicom\r\n\r\n" + written(ds) + b"\r\n--x--\r\n"
            headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x', "Accept": JSON}
            assert httpx.post(f"{address}/studies", content=body, headers=headers).status_code == 200
        yield address, server


def run(address, weights, folder, uid=STUDY):
    text = example("python", "judge_study.py").replace("http://localhost:8042/dicom-web", address)
    text = text.replace('"predict", ', f'"predict", "--device", "cpu", "--weights", {str(weights)!r}, ')
    (folder / "judge_study.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
    command = [sys.executable, folder / "judge_study.py", uid]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=600)
    assert "Traceback" not in done.stderr, done.stderr
    assert not list(folder.glob("tmp*"))  # the images are gone
    return done


def kept(address, uid=STUDY):
    """Modality and frame of each instance that the archive keeps of a study."""
    found = []
    with httpx.Client(headers={"Accept": JSON}) as client:
        for series in client.get(f"{address}/studies/{uid}/series").json():
            place = f"{address}/studies/{uid}/series/{series['0020000E']['Value'][0]}/instances"
            for instance in client.get(place).json():
                accept = {"Accept": 'multipart/related; type="application/dicom"'}
                answer = client.get(f"{place}/{instance['00080018']['Value'][0]}", headers=accept)
                text = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode() + answer.content
                (part,) = BytesParser(policy=email.policy.HTTP).parsebytes(text).iter_parts()
                found.append(pydicom.dcmread(io.BytesIO(part.get_payload(decode=True))))
    return found


def test_a_study_is_fetched_judged_and_gets_its_results(archive, weights, tmp_path):
    address, _ = archive
    done = run(address, weights, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": taken") == 9 and "3 rows, 0 failed" in done.stdout
    found = kept(address)
    assert sorted(ds.Modality for ds in found) == ["OT"] * 4 + ["SEG"] * 3 + ["SR"] * 3 + ["US"] * 2
    assert {str(ds.PatientName) for ds in found} == {NAME}
    results = [ds for ds in found if ds.Modality in ("SEG", "SR")]
    assert {Path(str(ds.SeriesDescription)).name for ds in results} == {
        "BUSI outlines (research)",
        "BUSI measurements (research)",
    }
    assert run(address, weights, tmp_path).returncode == 0  # once more: results are no pictures, and replace their like
    assert len(kept(address)) == len(found) and len(kept(address, "1.2.840.7")) == 1


def test_an_unknown_study_and_a_refusal_end_in_a_sentence(archive, weights, tmp_path):
    address, server = archive
    done = run(address, weights, tmp_path, "1.2.3.4")
    assert done.returncode == 1 and "Nothing was sent." in done.stderr
    assert "No pictures were found there" in done.stderr
    if server is not None:
        server.refused = {"SR"}
        done = run(address, weights, tmp_path)
        assert done.returncode == 1 and done.stdout.count("not taken, the archive says 409") == 3
        assert "Some results were not taken." in done.stderr
