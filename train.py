"""Train BUSI's network: a thin door to `busi_model.training.command` (`busi train`); `python train.py --help`."""

import sys

import busi_model  # noqa: F401 isort: skip (before torch: it sets how torch's threads wait)

from busi_model.training.command import main

if __name__ == "__main__":
    sys.exit(main())
