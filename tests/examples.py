"""The examples that README.md and docs/ show, so that tests run what users paste."""

import re

from tests.conftest import ROOT

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def example(language: str, words: str) -> str:
    """The first block of that language that contains the words."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for found, text in BLOCK.findall(page.read_text(encoding="utf-8")):
            if found == language and words in text:
                return text
    raise AssertionError(f"No {language} example with {words!r} in README.md or docs/.")
