"""Train BUSI's network: the same as `busi train`; `python train.py --help`."""

import sys

from busi_model.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
