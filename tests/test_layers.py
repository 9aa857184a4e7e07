"""Imports go one way, down: the order of the design, read from the code itself."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "busi_model"

# What each place may import of this project; in a folder that is no place itself each module is one, and a folder's own
# modules are checked for cycles below.
PARTED = ("cli", "decode", "model")
DECODE = ("decode.colour", "decode.dicom", "decode.film", "decode.picture_file")
SPINE = (
    "frame",
    *DECODE,
    "decode.banner",
    "decode.helper",
    "decode.helpers",
    "image",
    "model.preprocess",
    "model.encoder",
    "model.network",
    "model.operating_point",
    "model.ood",
    "model.quality",
    "model.weights_folder",
    "model.weights_files",
    "model.checkpoint",
    "predict",
    "phantom",
    "intervals",
)
MAY_IMPORT = {
    "errors": (),
    "interrupts": (),
    "files": (),
    "names": (),
    "words": (),
    "intervals": (),
    "phantom": (),
    "frame": (),
    "image": ("frame", *DECODE),
    "predict": ("image", "model.checkpoint", "model.network", "model.ood", "model.preprocess", "model.quality"),
    "decode.banner": ("frame",),
    "decode.colour": ("frame",),
    "decode.dicom": ("frame", "decode.film", "decode.picture_file"),
    "decode.film": ("frame",),
    "decode.helper": ("frame",),
    "decode.helpers": ("frame", "decode.helper"),
    "decode.picture_file": ("frame",),
    "model.encoder": (),
    "model.network": ("model.encoder",),
    "model.ood": (),
    "model.operating_point": ("frame",),
    "model.preprocess": ("frame",),
    "model.quality": ("frame",),
    "model.weights_folder": (),
    "model.weights_files": ("model.weights_folder", "model.network", "model.ood"),
    "model.checkpoint": (
        "model.weights_folder",
        "model.weights_files",
        "model.network",
        "model.ood",
        "model.operating_point",
        "model.preprocess",
    ),
    "clinic": SPINE,
    "dicom_out": (*SPINE, "clinic"),
    "training": SPINE,
    "reading": ("intervals",),
    "page": (*SPINE, "clinic", "dicom_out", "batch", "reading"),
    "batch": (*SPINE, "clinic", "dicom_out"),
    "language": (),  # names the modules that hold sentences, and imports them when a language is loaded
    "cli.start": (*SPINE, "language", "page", "reading"),
    "cli.commands": (*SPINE, "clinic", "training", "reading", "batch", "cli.start"),
    "__main__": ("cli.commands",),
    "__init__": (),
}
EVERYWHERE = ("errors", "files", "interrupts", "names", "words")  # they need nothing themselves
ROOMS = ("about", "feedback", "host", "images", "session")  # of page/, a panel each
PUTS_THEM_TOGETHER = ("page", "page.api")
# Heavy packages and the only places that may name them.
ONLY_IN = {
    "gradio": ("page",),
    "cv2": ("decode.film",),
    "highdicom": ("dicom_out",),
    "pydicom": ("decode.dicom", "dicom_out"),
    "ray": ("batch",),
    "torch": (
        "model.encoder",
        "model.network",
        "model.weights_files",
        "model.checkpoint",
        "predict",
        "training",
        "clinic.explain",
    ),
}


def _modules():
    return sorted(PACKAGE.rglob("*.py"))


def _place(path):
    """Of a module's file: "training", "predict", "decode.dicom"."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[: 2 if parts[0] in PARTED else 1])


def _place_of(name):
    """Of a full name that was imported, or None: of a class of `busi_model` itself, say."""
    parts = name.split(".")[1:3]
    if not parts or not ((PACKAGE / parts[0]).is_dir() or (PACKAGE / f"{parts[0]}.py").is_file()):
        return None
    if parts[0] in PARTED:
        return ".".join(parts) if len(parts) > 1 else None
    return parts[0]


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
        package = name.split(".")[0]
        assert package not in ("app", "train", "tests"), f"{path.name} imports {name}"
        if package == "busi_model" and (other := _place_of(name)) not in (None, place):
            assert other in (*EVERYWHERE, *MAY_IMPORT[place]), f"{place} imports {other}"
        if package in ONLY_IN:
            assert {place, f"{place}.{path.stem}"} & set(ONLY_IN[package]), f"{path.name} imports {package}"


@pytest.mark.parametrize("folder", sorted({path.parent for path in _modules()}), ids=lambda p: p.name)
def test_no_folder_has_more_than_a_dozen_modules(folder):
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= 12


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
