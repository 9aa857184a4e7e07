"""Imports go one way, down: the order of the design, read from the code itself."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "busi_model"

# What each place may import of this project; a folder's own modules are checked for cycles below.
SPINE = (
    "frame",
    "colour",
    "helper",
    "helpers",
    "dicom",
    "film",
    "picture_file",
    "image",
    "banner",
    "preprocess",
    "encoder",
    "network",
    "operating_point",
    "ood",
    "quality",
    "weights_folder",
    "weights_files",
    "checkpoint",
    "predict",
    "phantom",
    "intervals",
)
MAY_IMPORT = {
    "frame": (),
    "colour": ("frame",),
    "errors": (),
    "interrupts": (),
    "files": (),
    "names": (),
    "words": (),
    "helper": ("frame",),
    "helpers": ("frame", "helper"),
    "dicom": ("film", "frame", "picture_file"),
    "film": ("frame",),
    "picture_file": ("frame",),
    "image": ("colour", "dicom", "film", "frame", "picture_file"),
    "banner": ("frame",),
    "preprocess": ("frame",),
    "encoder": (),
    "network": ("encoder",),
    "operating_point": ("frame",),
    "phantom": (),
    "intervals": (),
    "ood": (),
    "quality": ("frame",),
    "weights_folder": (),
    "weights_files": ("weights_folder", "network", "ood"),
    "checkpoint": ("weights_folder", "weights_files", "network", "ood", "operating_point", "preprocess"),
    "predict": ("checkpoint", "image", "network", "ood", "preprocess", "quality"),
    "clinic": SPINE,
    "dicom_out": (*SPINE, "clinic"),
    "training": SPINE,
    "reading": ("intervals",),
    "page": (*SPINE, "clinic", "dicom_out", "batch", "reading"),
    "batch": (*SPINE, "clinic", "dicom_out"),
    "commands": (*SPINE, "clinic", "training", "reading", "batch", "start"),
    "__main__": ("commands",),
    "language": (),  # names the modules that hold sentences, and imports them when a language is loaded
    "start": (*SPINE, "language", "page", "reading"),
    "__init__": (),
}
EVERYWHERE = ("errors", "files", "interrupts", "names", "words")  # they need nothing themselves
ROOMS = ("about", "feedback", "host", "images", "session")  # of page/, a panel each
PUTS_THEM_TOGETHER = ("page", "page.api")
# Heavy packages and the only places that may name them.
ONLY_IN = {
    "gradio": ("page",),
    "cv2": ("film",),
    "highdicom": ("dicom_out",),
    "pydicom": ("dicom", "dicom_out"),
    "ray": ("batch",),
    "torch": ("encoder", "network", "weights_files", "checkpoint", "predict", "training", "clinic.explain"),
}


def _modules():
    return sorted(PACKAGE.rglob("*.py"))


def _place(path):
    parts = path.relative_to(PACKAGE).parts
    return parts[0].removesuffix(".py")


def _imported(path):
    """Full names of all modules that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative imports hide where a name comes from"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path):
    place = _place(path)
    for name in _imported(path):
        parts = name.split(".")
        assert parts[0] not in ("app", "train", "tests"), f"{path.name} imports {name}"
        if parts[0] == "busi_model" and len(parts) > 1:
            known = (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").is_file()
            if known and parts[1] != place:
                assert parts[1] in (*EVERYWHERE, *MAY_IMPORT[place]), f"{place} imports {parts[1]}"
        if parts[0] in ONLY_IN:
            assert {place, f"{place}.{path.stem}"} & set(ONLY_IN[parts[0]]), f"{path.name} imports {parts[0]}"


def test_no_folder_imports_in_a_circle():
    modules = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in _modules()}
    edges = {name: {i for i in _imported(path) if i in modules and i != name} for name, path in modules.items()}
    done = set()
    while ready := [name for name in edges if name not in done and edges[name] <= done]:
        done.update(ready)
    assert set(edges) == done, f"a circle among {sorted(set(edges) - done)}"


def test_a_panel_of_the_page_knows_no_other():
    """`page/__init__` puts them together; what two of them need lies beside it, in `viewer` or in `server`."""
    assert all((PACKAGE / "page" / room / "panel.py").is_file() for room in ROOMS)
    for path in (PACKAGE / "page").rglob("*.py"):
        place = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        for name in _imported(path):
            room = name.removeprefix("busi_model.page.").split(".")[0] if name.startswith("busi_model.page.") else ""
            if room in ROOMS and place not in PUTS_THEM_TOGETHER:
                assert place.split(".")[1] == room, f"{place} imports {name}"


def test_the_page_reads_files_in_helper_processes_only():
    for path in (PACKAGE / "page").rglob("*.py"):
        readers = {f"busi_model.image.{name}" for name in ("read_image", "count_frames")}
        assert path.stem == "decoding" or not readers & set(_imported(path)), f"{path.name} reads files itself"
