"""Sentences by code: every code that is used has a sentence, every sentence is used and filled, and another language
is said without reading anything again."""

import ast
import pickle
from string import Formatter

import pytest

from busi_model import words
from busi_model.dicom_out.reference import DicomResultError
from busi_model.frame import ImageError, Notice
from busi_model.reading import words as store_words
from busi_model.reading.errors import StoreError
from busi_model.reading.storage.database import Database
from tests.test_layers import PACKAGE

KINDS = ("StoreError", "PictureError", "RecordError", "OutlineError", "ConflictError", "StageError", "CodeError")
ERRORS = dict.fromkeys(("ImageError", "DicomResultError"), words.REFUSALS) | dict.fromkeys(KINDS, store_words.ERRORS)
FINISHED = ("backup.py",)  # of the command line only: its sentences hold paths


def _calls(*names):
    """Name, first words that are written out, names of the values, and place of all calls of these."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "training" in path.parts or path.name in FINISHED:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                yield node.func.id, node, f"{path.name}:{node.lineno}"


def _codes(node):
    """What a code can be, where it is written out: "a" if x else "b" is two."""
    if isinstance(node, ast.IfExp):
        return [*_codes(node.body), *_codes(node.orelse)]
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _wanted(sentence):
    return {name for _, name, *_ in Formatter().parse(sentence) if name}


def test_every_error_is_in_the_catalogue_with_all_that_fills_it():
    # `helpers._reason`, `database._in_words`, `errors.TooManyAttempts`
    used = {"slow", "damaged", "ended", "disk_full", "disk_fails", "disk_read_only", "not_opened", "no_database"}
    used |= {"too_many_attempts"}
    for kind, call, place in _calls(*ERRORS):
        given = {keyword.arg for keyword in call.keywords}
        assert not isinstance(call.args[0], ast.JoinedStr), f"{place}: a sentence beside the catalogue"
        for code in _codes(call.args[0]):
            assert code in ERRORS[kind], f"{place}: {code}"
            assert None in given or given == _wanted(ERRORS[kind][code]), f"{place}: {code} is filled with {given}"
            used.add(code)
    assert used == words.REFUSALS.keys() | store_words.ERRORS.keys()


def test_every_notice_is_in_the_catalogue():
    used = set()
    for _, call, place in _calls("Notice"):
        said = call.args[1] if len(call.args) > 1 else call.args[0]
        codes = _codes(said)
        if len(codes) < 1 + isinstance(said, ast.IfExp):  # None: the notice's own
            codes += _codes(call.args[0])
        assert not isinstance(said, ast.JoinedStr), f"{place}: a sentence beside the catalogue"
        for code in filter(None, codes):
            assert code in words.NOTICES, f"{place}: {code}"
            used.add(code)
    assert set(words.NOTICES) - used <= {"tag_alone", "tag_contradicts", "tag_ignored"}  # `Tags.leave_out`


@pytest.mark.parametrize("kind", [ImageError, DicomResultError])
def test_an_error_is_said_when_it_is_shown_and_where(kind, monkeypatch):
    error = pickle.loads(pickle.dumps(kind("too_small", width=31, height=20, least=64)))
    assert str(error) == "The image is 31x20 px; at least 64x64 is needed. Export the frame at full size."
    monkeypatch.setitem(words.REFUSALS, "too_small", "Nur {width}x{height} Pixel statt {least}.")
    assert str(error) == "Nur 31x20 Pixel statt 64." and type(error) is kind
    assert str(kind("Finished {so far}.")) == "Finished {so far}."


def test_a_notice_and_its_parts_are_said_when_they_are_shown(monkeypatch):
    notice = Notice("other_modality", values={"found": "MG"})
    assert notice.text.startswith("The file says that it is mammography, not ultrasound.")
    monkeypatch.setitem(words.PARTS, "MG", "Mammographie")
    monkeypatch.setitem(words.NOTICES, "other_modality", "Laut Datei: {found}.")
    assert notice.as_row() == {"code": "other_modality", "text": "Laut Datei: Mammographie."}
    assert Notice("heads_disagree", "").text == ""


def test_a_lost_store_is_said_in_the_language_of_the_page(tmp_path, monkeypatch):
    monkeypatch.setitem(store_words.PARTS, "not_saved", "Nicht gespeichert.")
    monkeypatch.setitem(store_words.ERRORS, "no_database", "{what} Das ist keine Datenbank.")
    (tmp_path / "a.sqlite3").write_bytes(b"no database at all, and long enough to be looked at" * 20)
    with pytest.raises(StoreError, match=r"^Nicht gespeichert\. Das ist keine Datenbank\.$"):
        Database(tmp_path / "a.sqlite3")
