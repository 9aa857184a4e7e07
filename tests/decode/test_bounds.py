"""What a small file asks for is bounded before it is done: each bomb gets a sentence of its own, in little time and
memory, and what is like it and harmless is read."""

import pytest

from busi_model.decode import helpers
from busi_model.decode.helpers import Helpers
from busi_model.frame import ImageError
from busi_model.words import REFUSALS
from tests.support import bombs

# Name and content of a file; words of the sentence that refuses it, or None: it is read.
KINDS = {
    "a usual progressive.jpg": (lambda: bombs.progressive_jpeg(10), None),
    "a small picture of many scans.jpg": (lambda: bombs.progressive_jpeg(150, 400), None),
    "800 scans.jpg": (lambda: bombs.progressive_jpeg(800), "more than 160 steps"),
    "300 small scans.jpg": (lambda: bombs.progressive_jpeg(300, 100), "more than 200 steps"),
    "a segmented palette.dcm": (lambda: bombs.segmented_palette([0, 2, 0, 100, 1, 254, 65535]), None),
    "an indirect one.dcm": (
        lambda: bombs.segmented_palette([0, 2, 0, 100, 1, 100, 30000, 2, 2, 0, 0, 1, 52, 65535]),
        None,
    ),
    "long lines.dcm": (
        lambda: bombs.segmented_palette([0, 2, 0, 100, *[1, 65535, 7, 1, 65535, 9] * 700]),
        REFUSALS["damaged"],
    ),
    "indirect of indirect.dcm": (
        lambda: bombs.segmented_palette([0, 1, 5, *[2, 60000, 0, 0] * 3000]),
        REFUSALS["damaged"],
    ),
    "indirect of lines.dcm": (
        lambda: bombs.segmented_palette([0, 1, 5, *[1, 9, 7] * 100, *[2, 100, 6, 0] * 3000]),
        REFUSALS["damaged"],
    ),
    "ten regions.dcm": (lambda: bombs.many_regions(10), None),
    "50,000 regions.dcm": (lambda: bombs.many_regions(50_000), "far more tags"),
    "regions without a length.dcm": (lambda: bombs.many_regions(20_000, True), "far more tags"),
    "5,000 tags.dcm": (lambda: bombs.many_tags(5_000), None),
    "1.5 million tags.dcm": (lambda: bombs.many_tags(1_500_000), "far more tags"),
}


@pytest.fixture(scope="module")
def pool():
    made = Helpers(n_fast=1, cpu_s=helpers.CPU_S, memory_bytes=2**28)  # a quarter of what the page allows
    yield made
    made.close()


@pytest.mark.parametrize("name", KINDS)
def test_a_bomb_is_refused_for_what_it_is(pool, tmp_path, within_s, name):
    content, words = KINDS[name]
    path = tmp_path / name
    path.write_bytes(content())
    with within_s(helpers.WALL_S):
        if words is None:
            assert pool.run("read_image", str(path), None).gray.size
        else:
            with pytest.raises(ImageError) as caught:
                pool.run("read_image", str(path), None)
            assert words in str(caught.value)
