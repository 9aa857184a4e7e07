"""Jobs for `test_helpers`: what a decoder can do wrong, each on purpose."""

import os
import signal
import sys
import time

import numpy as np

from busi_model.frame import Frame, ImageError, Notice


def answer(side_px):
    return Frame(np.full((side_px, side_px), 7, np.uint8), (0.1, 0.2), (Notice("colour", "Some colour."),))


def spin():
    while True:
        pass


def sleep(seconds):
    time.sleep(seconds)
    return seconds


def hoard():
    kept = []
    while True:
        kept.append(bytearray(2**24))


def crash():
    os.kill(os.getpid(), signal.SIGSEGV)


def fail():
    raise KeyError("Jane Doe")


def refuse():
    raise ImageError("This is no picture. Choose another file.")


def chat():
    print("an answer?", flush=True)
    os.write(1, b"an answer?")
    return 1


def write(path):
    with open(path, "wb") as file:
        file.write(b"x" * 10)


def secrets():
    return sorted(name for name in os.environ if "TOKEN" in name or "AUTH" in name or "PASSWORD" in name)


def modules():
    return sorted(name for name in ("torch", "gradio") if name in sys.modules)


class Sneaky:
    def __reduce__(self):
        return print, ("run in the page's process",)


def sneak():
    return Sneaky()
