"""The page as a Hugging Face Space runs it, called as scripts call it.

One server for all tests: the files that `export --space --out` stages, in a folder that cannot be written to, run by a
user who is not root, on two cores, with SPACE_ID and without a token, in an environment that holds the Space's own
requirements only (linked, not downloaded: see fresh_environment).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

import numpy as np
import pypdf
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright._impl._driver import compute_driver_executable

from busi_model.__main__ import main
from busi_model.clinic import words
from busi_model.clinic.descriptors import AGREEMENT
from busi_model.clinic.measure import measure_lesions
from busi_model.model import checkpoint
from busi_model.names import CLASS_NAMES
from busi_model.page import strings
from busi_model.page.api import Outlined, Reading
from busi_model.phantom import draw_phantom
from busi_model.training.release.publish import stage_space
from tests.conftest import ROOT
from tests.support import fresh_environment
from tests.support.browser import running
from tests.support.examples import blocks, example

pytestmark = pytest.mark.slow

PATIENCE_S = 180
NOBODY = 65534
ADDRESS = "http://127.0.0.1:7860"  # in the examples


def as_somebody() -> list[str]:
    """Words before a command that make its user one without rights; none when we are such a user already.

    Reading stays allowed everywhere: the interpreter may lie in root's own folder. Writing does not.
    """
    if os.geteuid() != 0:
        return []
    ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    caps = [f"--{kind}-caps=-all,+dac_read_search" for kind in ("inh", "ambient")]
    words = ["setpriv", *ids, *caps]
    if shutil.which("setpriv") is None or subprocess.run([*words, sys.executable, "-c", ""], check=False).returncode:
        pytest.skip("root cannot become another user here: setpriv from util-linux is needed")
    return words


def on_two_cores() -> list[str]:
    cores = sorted(os.sched_getaffinity(0))[:2] if shutil.which("taskset") else []
    return ["taskset", "-c", ",".join(map(str, cores))] if cores else []


def stage(folder: Path) -> None:
    """The files of a Space, by the command that its owner runs; nothing of them can be written to afterwards."""
    weights, name = str(ROOT / "weights"), "owner/name"
    assert main(["export", "--weights", weights, "--space", name, "--out", str(folder)]) == 0
    for name in (checkpoint.OOD_NAME, checkpoint.OLD_OOD_NAME):  # phantoms would be refused, and rightly so
        (folder / "weights" / name).unlink(missing_ok=True)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)


@pytest.fixture(scope="module")
def space():
    """Address of the running Space; at the end its log holds no file name and no traceback through our code."""
    place = Path(tempfile.mkdtemp(prefix="busi-test-space-"))  # not in pytest's own folder, which others may not enter
    place.chmod(0o755)
    code, home, log = place / "code", place / "home", place / "log.txt"
    home.mkdir()
    stage(code)
    somebody = as_somebody()
    if somebody:
        os.chown(home, NOBODY, NOBODY)
    python = fresh_environment.make(place / "venv", (code / "requirements.txt").read_text(encoding="utf-8"))
    probe = subprocess.run([*somebody, "touch", str(code / "written")], capture_output=True)
    assert probe.returncode != 0, "the code folder can be written to, so this would test nothing"
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "SPACE_ID": "owner/name"}
    environment |= {"GRADIO_SERVER_NAME": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    try:
        with running([*on_two_cores(), *somebody, python, "app.py"], code, environment, log) as url:
            yield url.removesuffix("/")
    finally:
        printed, left_behind = log.read_text(), list(home.glob("busi-*"))
        for path in [code, *code.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)  # so that the folder can be deleted
        shutil.rmtree(place)
    assert f"{code}/busi_model" not in printed and "scan" not in printed, printed
    assert not left_behind


def test_the_spaces_environment_holds_nothing_of_training(tmp_path):
    """Else the server of these tests would say nothing of a machine that has just installed the requirements."""
    stage_space(ROOT, ROOT / "weights", tmp_path / "code", "owner/name")
    python = fresh_environment.make(tmp_path / "venv", (tmp_path / "code" / "requirements.txt").read_text())
    script = "import sys, importlib.util as u; print([n for n in sys.argv[1:] if u.find_spec(n)])"
    names = ["gradio", "torch", "safetensors", "sklearn", "openpyxl", "pytest", "highdicom", "ray"]
    done = subprocess.run([python, "-c", script, *names], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.stdout.strip() == "['gradio', 'torch', 'safetensors']", done.stdout + done.stderr


@pytest.fixture(scope="module")
def client(space, tmp_path_factory):
    patient = {"timeout": PATIENCE_S}
    client = Client(space, verbose=False, download_files=tmp_path_factory.mktemp("answers"), httpx_kwargs=patient)
    yield client
    client.close()


@pytest.fixture
def scan(tmp_path, monkeypatch):
    """A folder of its own with scan.png; its gray levels."""
    monkeypatch.chdir(tmp_path)
    gray = draw_phantom("malignant", 3, 200, 260)[0]
    Image.fromarray(gray).save("scan.png")
    return gray


def _mask(path):
    with Image.open(path) as image:
        assert image.mode == "L" and image.format == "PNG"
        return np.asarray(image)


def _is_answer(reading, mask_path, gray, predictor):
    expected = predictor(gray)
    assert reading["label"] == expected.label
    assert reading["class_probabilities"] == pytest.approx(expected.class_probabilities, abs=1e-4)
    assert reading["confidence"] == max(reading["class_probabilities"].values()) and not reading["refused"]
    assert [w["code"] for w in reading["warnings"]] == [w.code for w in expected.warnings]
    assert (reading["height_px"], reading["width_px"]) == gray.shape
    assert reading["weights_sha256"] == predictor.checkpoint.weights_sha256
    mask = _mask(mask_path)
    assert set(np.unique(mask)) <= {0, 255}
    assert np.mean((mask > 0) != expected.mask) < 1e-3  # threads may round otherwise at the rim
    assert bool(reading["outlines_xy"]) == expected.mask.any()
    for outline in reading["outlines_xy"]:
        assert outline[0] == outline[-1] and all(
            -1 <= x <= gray.shape[1] and -1 <= y <= gray.shape[0] for x, y in outline
        )


def _is_outlined(outlined, gray, predictor):
    prediction = predictor(gray)
    lesions = measure_lesions(prediction.mask, prediction.margin)
    assert (outlined["height_px"], outlined["width_px"]) == gray.shape and outlined["spacing_mm"] is None
    assert len(outlined["lesions"]) == len(lesions) > 0 and not outlined["refused"]
    for said, lesion in zip(outlined["lesions"], lesions, strict=True):
        assert said["area_px2"] == pytest.approx(lesion.area_px2, rel=0.01) and said["area_mm2"] is None
        assert np.abs(np.subtract(said["outline_xy"][0], lesion.outline_xy[0])).max() < 3


def test_the_python_example(space, scan, predictor, capsys):
    found = {}
    exec(example("python", "gradio_client").replace(ADDRESS, space), found)
    found["client"].close()
    _is_answer(found["reading"], found["mask"], scan, predictor)
    _is_outlined(found["outlined"], scan, predictor)
    assert Path(found["report"]).read_bytes().startswith(b"%PDF")
    assert found["reading"]["label"] in capsys.readouterr().out


def test_the_curl_example(space, scan, predictor):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    script = example("bash", "call/predict").replace(ADDRESS, space)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    reading, _ = _answer(Path("answer.txt").read_text())
    _is_answer(reading, "mask.png", scan, predictor)
    said = " ".join(pypdf.PdfReader("report.pdf").pages[0].extract_text().split())
    assert reading["headline"] in said and predictor.checkpoint.weights_sha256 in said


def test_the_javascript_example(space, scan, predictor):
    """By the Node that Playwright brings."""
    node, _ = compute_driver_executable()
    script = next(text for text in blocks("javascript") if 'ask("predict"' in text).replace(ADDRESS, space)
    Path("judge.mjs").write_text(script)
    done = subprocess.run([node, "judge.mjs"], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    _is_answer(said["reading"], "mask.png", scan, predictor)
    _is_outlined(said["outlined"], scan, predictor)
    assert Path("report.txt").read_text().startswith(f"{said['reading']['headline']}. ")


def test_the_documentation_names_every_field():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert set(Reading.__annotations__) <= named and set(Outlined.__annotations__) <= named


def test_the_public_endpoints_say_their_types(space, client):
    with urllib.request.urlopen(f"{space}/gradio_api/info") as response:
        info = json.load(response)
    assert list(info["named_endpoints"]) == ["/predict", "/outline", "/report"] and not info["unnamed_endpoints"]
    for name, forms in (("/outline", ["polygons", "mask"]), ("/report", ["pdf", "text", "json"])):
        image, form = info["named_endpoints"][name]["parameters"]
        assert image["parameter_name"] == "image" and form["parameter_default"] == forms[0]
        assert form["type"] == {"enum": forms} and "research use only" in info["named_endpoints"][name]["description"]
    endpoint = info["named_endpoints"]["/predict"]
    assert "research use only" in endpoint["description"]
    assert [p["parameter_name"] for p in endpoint["parameters"]] == ["image"]
    reading, mask = (r["type"]["properties"] for r in endpoint["returns"])
    assert reading["label"] == {"oneOf": [{"type": "null"}, {"enum": list(CLASS_NAMES)}]}  # null: refused
    assert reading["confidence"] == {"oneOf": [{"type": "null"}, {"type": "number"}]}
    assert reading["class_probabilities"] == {"type": "object", "additionalProperties": {"type": "number"}}
    assert mask["meta"]["properties"]["_type"] == {"const": "gradio.FileData"}


def test_a_refused_picture_gets_no_label(client, tmp_path):
    Image.new("L", (120, 90), 40).save(tmp_path / "blank.png")
    reading, mask = client.predict(image=handle_file(tmp_path / "blank.png"), api_name="/predict")
    assert reading["refused"] and [w["code"] for w in reading["warnings"]] == ["blank"]
    assert reading["label"] is None and reading["confidence"] is None
    assert (reading["class_probabilities"], reading["class_set"], reading["outlines_xy"]) == ({}, [], [])
    assert not _mask(mask).any()
    outlined, mask = client.predict(image=handle_file(tmp_path / "blank.png"), form="mask", api_name="/outline")
    assert outlined["refused"] and outlined["lesions"] == [] and not _mask(mask).any()
    report = client.predict(image=handle_file(tmp_path / "blank.png"), form="text", api_name="/report")
    assert words.VERDICTS["not_judged"] in Path(report).read_text()


def test_the_forms_of_outline_and_report_say_the_same(client, scan, predictor):
    image = handle_file("scan.png")
    reading, mask = client.predict(image=image, api_name="/predict")
    outlined, nothing = client.predict(image=image, api_name="/outline")
    again, same = client.predict(image=image, form="mask", api_name="/outline")
    assert nothing is None and again == outlined and (_mask(same) == _mask(mask)).all()
    assert [lesion["outline_xy"] for lesion in outlined["lesions"]] == reading["outlines_xy"]
    assert outlined["lesions"] and all(set(AGREEMENT) <= set(one["descriptors"]) for one in outlined["lesions"])
    data = json.loads(Path(client.predict(image=image, form="json", api_name="/report")).read_text())
    assert data["lesions"] == outlined["lesions"] and data["verdict"] == reading["verdict"]
    for name, forms in (("/outline", '"polygons", "mask"'), ("/report", '"pdf", "text", "json"')):
        with pytest.raises(AppError, match=f"no such form; one of {forms} is expected"):
            client.predict(image=image, form="../../etc/passwd", api_name=name)


def test_the_pages_own_endpoints_are_private(client):
    for name in ("/read", "/clear", "/_read_example"):
        with pytest.raises(ValueError, match="Cannot find a function"):
            client.predict(api_name=name)


def test_what_is_no_image_gets_a_sentence(client, tmp_path):
    path = tmp_path / "scan.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n nothing that an image could be made of")
    with pytest.raises(AppError) as refused:
        client.predict(image=handle_file(path), api_name="/predict")
    assert "busi-" not in str(refused.value) and "Traceback" not in str(refused.value)
    assert str(refused.value).endswith(".")


def _call(space, payload):
    body = json.dumps({"data": [payload]}).encode()
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{space}/gradio_api/call/predict", body, kind)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{space}/gradio_api/call/predict/{event}", timeout=PATIENCE_S) as response:
        return response.read().decode()


def _answer(events):
    assert "event: complete" in events, events
    return json.loads(events[events.index("data: ") + 6 :].splitlines()[0])


@pytest.mark.parametrize(
    "payload",
    [
        {"path": "/etc/passwd"},
        {"path": "app.py"},
        {"path": "\0"},
        {"path": None},
        "/etc/passwd",
        None,
    ],
    ids=["system file", "own file", "nul", "no path", "text", "nothing"],
)
def test_what_was_not_uploaded_gets_a_sentence(space, payload):
    events = _call(space, payload)
    assert "event: error" in events and "No uploaded image was named. Upload the file first" in events


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/passwd", strings.EVENT_FAILED),
        ("app.py", strings.EVENT_FAILED),
        ("http://127.0.0.1:9/scan.png", strings.ADDRESS_REFUSED),
        ("\0", strings.EVENT_FAILED),
    ],
)
def test_what_only_claims_to_be_uploaded_gets_a_sentence(space, path, words):
    events = _call(space, {"path": path, "meta": {"_type": "gradio.FileData"}})
    assert "event: error" in events and json.dumps(words) in events and "passwd" not in events


def test_the_server_goes_on_after_all_that(client, scan, predictor):
    reading, mask = client.predict(image=handle_file("scan.png"), api_name="/predict")
    _is_answer(reading, mask, scan, predictor)
