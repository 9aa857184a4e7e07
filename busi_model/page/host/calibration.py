"""An operating point of the host's own hospital, fitted on a session's cases of known class.

Enters: a session's id. Leaves: the file that `busi calibrate` writes, which whoever starts the page names in
BUSI_OPERATING_POINT, and its figures as HTML; or, where training is not installed, the cases to calibrate by elsewhere.
`busi calibrate` itself runs, as a program of its own at low priority: the page stays quick and knows nothing of
training. It ends with the page, for it says how far it is into a pipe, which breaks then.
"""

import contextlib
import html
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd

from busi_model.model.checkpoint import fingerprint
from busi_model.names import CLASS_NAMES, LEAST_TO_CALIBRATE, TRAINING_PACKAGES
from busi_model.page import strings
from busi_model.page.host.downloads import Prepared, skipped_words
from busi_model.page.host.results import table_html
from busi_model.predict import Predictor
from busi_model.reading.errors import RecordError
from busi_model.reading.export import export_known
from busi_model.reading.storage.store import Store

NAME = "calibrate"  # before each refusal of the command
PRIORITY = 10  # the page comes first


class Calibration:
    """Of one network. weights: the folder or Hub repository that the predictor was loaded from."""

    def __init__(self, predictor: Predictor, weights: Path | str):
        self.predictor = predictor
        self.weights = os.path.abspath(weights) if os.path.isdir(weights) else str(weights)

    def has_seen(self, gray: np.ndarray) -> bool:
        """Whether the weights have learned from this picture, uint8 (H, W)."""
        return fingerprint(gray) in self.predictor.checkpoint.seen

    def is_installed(self) -> bool:
        """Whether what `busi calibrate` needs came with this program."""
        return all(importlib.util.find_spec(name) for name in TRAINING_PACKAGES)

    def of_session(self, store: Store, session_id: str, name: str, place: Path) -> Prepared:
        """place: an empty folder, for the file; name: the session's. Raises RecordError, as `fit`, and where too few
        cases are left."""
        cases, file = place / "reading-session", place / "operating-point.json"  # the folder's name stands in the file
        try:
            exported = export_known(store, cases, session_id, self.has_seen)
            skipped = skipped_words(exported)
            if exported.n_cases < LEAST_TO_CALIBRATE:
                too_few = strings.CALIBRATED_TOO_FEW.format(n_cases=exported.n_cases, least=LEAST_TO_CALIBRATE)
                raise RecordError(too_few + skipped)
            if not self.is_installed():
                archive = shutil.make_archive(str(place / "cases-of-known-class"), "zip", place, cases.name)
                said = strings.CALIBRATED_ELSEWHERE.format(n_cases=exported.n_cases)
                return Prepared([Path(archive)], said + skipped)
            content = self.fit(cases, file)
        finally:
            shutil.rmtree(cases, ignore_errors=True)
        return Prepared([file], strings.CALIBRATED + skipped, fitted_html(content, name))

    def fit(self, folder: Path, file: Path) -> dict:
        """Fit on a folder of cases and write the file; returns its content. Raises RecordError: the refusal of `busi
        calibrate`. It takes about a second for two images."""
        arguments = ["--weights", self.weights, "--data", folder, "--out", file, "--device", self.predictor.device.type]
        program = subprocess.Popen(
            [sys.executable, "-m", "busi_model", NAME, *map(str, arguments)],
            cwd=Path(__file__).parents[3],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # the file says the same
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
        with contextlib.suppress(OSError, AttributeError):  # it has just ended; Windows
            os.setpriority(os.PRIO_PROCESS, program.pid, PRIORITY)
        try:
            said = program.communicate()[1]
        finally:
            program.kill()
        if program.returncode == 0:
            return json.loads(file.read_text(encoding="utf-8"))
        _, name, sentence = said.rpartition(f"{NAME}: ")
        if not name or str(folder.parent) in sentence:  # a path of the server, and no refusal
            raise RuntimeError(f"`busi calibrate` ended with {program.returncode}: {_kind(said)}.")
        raise RecordError(sentence.strip())


def _kind(said: str) -> str:
    """The exception's name in the last line of a traceback; its words may name a file."""
    last = (said.strip().splitlines() or [""])[-1]
    return last.partition(":")[0] if re.match(r"[\w.]+(:|$)", last) else "no exception was printed"


def fitted_html(content: dict, name: str) -> str:
    """What the file of `busi calibrate` says, as a table of figures before and after, and sentences. name: the
    session's."""
    point = content["operating_point"]
    rows = [
        (words, *(_interval(both[when]) for when in ("before", "after"))) for words, both in content["figures"].items()
    ]
    caption = strings.CALIBRATED_CAPTION.format(name=name, n_images=len(content["fitted_on_images"]))
    table = table_html(pd.DataFrame(rows, columns=list(strings.CALIBRATED_COLUMNS)), caption)
    mix = ", ".join(
        f"{100 * share:.0f} % {strings.CLASS_NAMES[class_name].lower()}"
        for class_name, share in zip(CLASS_NAMES, point["class_mix"], strict=True)
    )
    sentences = (
        strings.CALIBRATED_KEPT.format(kept="; ".join(content["kept"])),
        strings.CALIBRATED_MIX.format(mix=mix),
        strings.CALIBRATED_JUDGED,
        strings.CALIBRATED_USE,
    )
    return table + "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)


def _interval(figure: dict) -> str:
    if figure["value"] is None:
        return "–"
    value, low, high = (f"{figure[key]:.3f}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"
