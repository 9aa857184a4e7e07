"""The web page: the same as `busi app`; `python app.py`, then open the address it prints."""

import sys

from busi_model.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["app", *sys.argv[1:]]))
