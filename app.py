"""The web page: `python app.py`, then open the address it prints; `busi_model.start` says what can be set."""

from busi_model.start import run

if __name__ == "__main__":
    run()
