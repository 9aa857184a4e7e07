"""A folder of weights: what its files are called, and where it lies: in the program, on this machine or on the Hub.

Enters: a folder, a Hugging Face model repository "owner/name", or nothing. Leaves: the path of a folder, or a
CheckpointError that says in words what the Hub answered. What stands in the files is read by `checkpoint`.
"""

from pathlib import Path

from huggingface_hub import get_token, is_offline_mode, snapshot_download, try_to_load_from_cache
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from busi_model.errors import UserError

CONFIG_NAME, WEIGHTS_NAME, OOD_NAME = "config.json", "model.safetensors", "ood.safetensors"
OLD_OOD_NAME = "gate.safetensors"  # of weights whose detector knows the distance only
SEEN_NAME = "seen.txt"


class CheckpointError(UserError, RuntimeError):
    """Weights that cannot be used: what was found, what was expected, what to do."""


def packaged() -> Path:
    """The folder of weights that came with the program: inside the installed package, beside it in a checkout."""
    inside = Path(__file__).parents[1] / "weights"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "weights"


def locate(source: Path | str | None, revision: str | None = None) -> Path:
    """The source's folder: itself, or where the repository's files lie once they are downloaded; None: `packaged`.

    revision: branch, tag or commit of the repository; main if not given. Raises CheckpointError.
    """
    folder = packaged() if source is None else Path(source)
    return folder if folder.is_dir() else _download(str(source), revision)


def _download(repository: str, revision: str | None) -> Path:
    asked = f"{repository!r}" if revision is None else f"{repository!r} at revision {revision!r}"
    names = [CONFIG_NAME, WEIGHTS_NAME]
    try:
        wanted = [*names, OOD_NAME, OLD_OOD_NAME, SEEN_NAME]
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=wanted))
    except HFValidationError:
        problem = (
            f"{repository!r} is neither a folder here nor a repository name. Give a folder with {CONFIG_NAME} and "
            f"{WEIGHTS_NAME} (the project ships weights/), or owner/name on the Hugging Face Hub."
        )
    except GatedRepoError:
        problem = (
            f"The owner of {repository!r} asks for consent first. Give it on the model's page on the Hugging Face Hub, "
            "then log in here with `hf auth login`."
        )
    except RepositoryNotFoundError:
        remedy = "your token may not read it" if get_token() else "it is private: log in with `hf auth login`"
        problem = (
            f"{repository!r} is no folder here, and the Hugging Face Hub shows no such model. Check the spelling; "
            f"or else {remedy}."
        )
    except RevisionNotFoundError:
        problem = f"{repository!r} has no revision {revision!r}. Name a branch, tag or commit that its page lists."
    except LocalEntryNotFoundError:  # the Hub was not asked, or did not answer
        offline = "HF_HUB_OFFLINE forbids to ask the Hub" if is_offline_mode() else "the Hub is unreachable"
        partly = any(isinstance(try_to_load_from_cache(repository, name, revision=revision), str) for name in names)
        found = "is only half downloaded" if partly else "is neither a folder here nor downloaded yet"
        problem = f"{asked} {found}, and {offline}. Run this once with a connection, or give a folder of weights."
    except HfHubHTTPError as error:
        status = error.response.status_code
        remedy = "Log in again with `hf auth login`." if status in (401, 403) else "Try again later."
        problem = f"The Hugging Face Hub answered status {status} for {asked}. {remedy}"
    except (HTTPError, OSError, ValueError) as error:
        problem = f"The download of {asked} broke off ({type(error).__name__}). Run the same again to finish it."
    else:
        missing = [name for name in names if not (folder / name).is_file()]
        if not missing:
            return folder
        problem = f"{asked} holds no {' and no '.join(missing)}, so it is no model of this program. Check the name."
    raise CheckpointError(problem)
