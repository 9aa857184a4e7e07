"""The examples that README.md and docs/ show, so that tests run what users paste."""

import re

from tests.conftest import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    """All blocks of that language, in reading order."""
    pages = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    found = [block for page in pages for block in BLOCK.findall(page.read_text(encoding="utf-8"))]
    return [text for name, text in found if name == language]


def example(language: str, words: str) -> str:
    """The first block of that language that contains the words."""
    return next(text for text in blocks(language) if words in text)
