"""The web page: `python app.py`, then open the address it prints; `busi_model.start` says what can be set."""

import argparse

from busi_model.start import run

if __name__ == "__main__":
    argparse.ArgumentParser(description="The web page; docs/settings.md says what can be set.").parse_args()
    run()
