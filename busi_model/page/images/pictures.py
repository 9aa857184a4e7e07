"""What the browser fetches of a case, as files in the case's own folder: the shown frame, small ones of a film and for
the worklist, the heat map. Gradio empties that folder now and then, so each is written when it is not there.
"""

from collections.abc import Iterator

from busi_model.clinic.explain import scan_area
from busi_model.clinic.view import draw_heat, encode_png, thumbnail
from busi_model.image import Box
from busi_model.model.preprocess import square_pixels
from busi_model.page.images.case import OpenImage
from busi_model.page.images.opened import OpenImages

HEAT_PX = 2048  # longer side, at most: the browser stretches the map over the frame, and its grid is coarse anyway


def picture(images: OpenImages, case: OpenImage) -> str:
    """Path of the frame as PNG."""
    return images.write_once(case, f"busi-image{_suffix(case)}.png", lambda: encode_png(case.frame.gray))


def previews(images: OpenImages, case: OpenImage) -> Iterator[int]:
    """Write the frames of a film as small JPEG files; yields how many are there, of a still nothing. Raises
    ImageError."""
    film = case.film
    if film is None:
        return
    if not film.preview(case.folder, 0).is_file():
        film.ready = 0
    while film.ready < film.count and not case.forgotten:
        with case.lock:
            path = film.preview(case.folder, film.ready)
            images.write(case, path.name, film.small(film.ready))
            film.ready += 1
        yield film.ready


def keep_thumbnail(images: OpenImages, case: OpenImage) -> None:
    """Write the small picture for the worklist. Without the case's lock: the list does not wait for a case that is
    being analysed."""
    if case.thumbnail_png and not (case.folder / "busi-thumbnail.png").is_file():
        images.write(case, "busi-thumbnail.png", case.thumbnail_png)


def explanation(images: OpenImages, case: OpenImage) -> str:
    """Path of the heat map of the likeliest class as PNG with transparency."""
    label = case.label

    def draw() -> bytes:
        frame = case.frame
        gray = thumbnail(square_pixels(frame.gray, frame.pixel_aspect), HEAT_PX)  # the viewer stretches it back
        row, column = (small / whole for small, whole in zip(gray.shape, frame.gray.shape, strict=True))
        regions = [_scaled(box, row, column) for box in frame.scan_regions]
        return encode_png(draw_heat(images.explainer(gray, label) * scan_area(gray, regions)))

    path = images.write_once(case, f"busi-explanation-{label}{_suffix(case)}.png", draw)
    case.explained = True
    return path


def _suffix(case: OpenImage) -> str:
    return "" if case.film is None else f"-{case.film.index:04d}"


def _scaled(box: Box, row: float, column: float) -> Box:
    return Box(round(box.top * row), round(box.left * column), round(box.bottom * row), round(box.right * column))
