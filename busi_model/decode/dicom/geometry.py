"""Where echoes are in a picture, how many millimetres a pixel is, and how high it is for its width: from its tags."""

from dataclasses import dataclass

from pydicom.dataset import Dataset

from busi_model.decode.dicom.tags import Tags, positive
from busi_model.frame import Box, Notice

_TWO_D, _TISSUE, _COLOUR_FLOW, _CENTIMETRES = 1, 1, 2, 3  # PS3.3 C.8.5.5.1: spatial format, data type, physical units
_SAME_SCALE = 1e-3  # relative: writers round
_SQUARE = 0.01  # a pixel as high as wide, but for so much of it
_SLIMMEST = 8  # times as high as wide, or as wide as high; beyond, the tag is a mistake


@dataclass(frozen=True)
class Geometry:
    """In the picture's own pixels."""

    scan_regions: tuple[Box, ...] = ()
    spacing_mm: tuple[float, float] | None = None  # (row, column)
    pixel_aspect: float = 1.0  # height of a pixel over its width


def geometry(tags: Tags, frame: int = 0) -> Geometry:
    """Of one frame, from 0 on. Millimetres come from the scan regions where these have any, else from PixelSpacing.

    Notices go to `tags`: "regions_disagree", "spacings_differ" and "scanned_spacing" (no millimetres then),
    "pixels_not_square", "tag_ignored".
    """
    found = _measured(tags, frame)
    if found.spacing_mm and "PixelAspectRatio" in tags.dataset:
        said = _aspect(tags, ("PixelAspectRatio",))
        if said and abs(said * found.spacing_mm[1] / found.spacing_mm[0] - 1) > _SQUARE:
            tags.leave_out("PixelAspectRatio", "tag_contradicts")
    aspect = found.spacing_mm[0] / found.spacing_mm[1] if found.spacing_mm else found.pixel_aspect
    if abs(aspect - 1) <= _SQUARE:
        return Geometry(found.scan_regions, found.spacing_mm)
    tags.notices.append(Notice("pixels_not_square", values={"aspect": aspect}))
    return Geometry(found.scan_regions, found.spacing_mm, aspect)


def _measured(tags: Tags, frame: int) -> Geometry:
    regions, spacings = _regions(tags)
    if regions is None:
        return Geometry()
    spacing_mm = spacings[0] if spacings else None
    if spacing_mm:
        if any(_differ(one, spacing_mm) for one in spacings):
            tags.notices.append(Notice("spacings_differ"))
            aspects = [row / column for row, column in spacings]
            same = max(aspects) <= min(aspects) * (1 + _SQUARE)
            return Geometry(regions, None, aspects[0] if same else 1.0)
    else:
        spacing_mm = _pixel_spacing(tags, frame)
    return Geometry(regions, spacing_mm, 1.0 if spacing_mm else _aspect(tags) or 1.0)


def _regions(tags: Tags) -> tuple[tuple[Box, ...] | None, list[tuple[float, float]]]:
    """Regions of tissue or of colour flow, the only ones that are scan, and the spacings of the former; None in place
    of the regions where one of tissue shows that they belong to another picture."""
    regions, spacings, flow_beyond = [], [], False
    columns, rows = tags.dataset.Columns, tags.dataset.Rows
    for item in tags.items("SequenceOfUltrasoundRegions"):
        space, kind = tags.numbers("RegionSpatialFormat", item), tags.numbers("RegionDataType", item)
        if space is None or kind is None:
            tags.leave_out("SequenceOfUltrasoundRegions")
            continue
        if space[0] == 0 or kind[0] not in (_TISSUE, _COLOUR_FLOW):
            continue
        places = (tags.numbers(f"RegionLocation{name}", item) for name in ("MinX0", "MinY0", "MaxX1", "MaxY1"))
        sides = [side for side in places if side]
        if len(sides) < 4:
            tags.leave_out("SequenceOfUltrasoundRegions")
            continue
        left, top, right, bottom = (int(side[0]) for side in sides)
        if left == right == top == bottom == 0:  # written, but never filled in
            tags.leave_out("SequenceOfUltrasoundRegions")
            continue
        # The last column belongs to the region; many writers give the one after it.
        if not (0 <= left < right <= columns and 0 <= top < bottom <= rows):
            if kind[0] == _COLOUR_FLOW:
                flow_beyond = True
                continue
            return _of_another_picture(tags)
        regions.append(Box(top, left, min(bottom + 1, rows), min(right + 1, columns)))
        if (space[0], kind[0]) == (_TWO_D, _TISSUE) and (spacing_mm := _region_spacing_mm(tags, item)):
            spacings.append(spacing_mm)
    if flow_beyond and not regions:
        return _of_another_picture(tags)
    if flow_beyond:  # where tissue lies within the picture, it was not cut
        tags.leave_out("SequenceOfUltrasoundRegions")
    return tuple(regions), spacings


def _of_another_picture(tags: Tags) -> tuple[None, list[tuple[float, float]]]:
    tags.notices.append(Notice("regions_disagree"))
    return None, []


def _region_spacing_mm(tags: Tags, item: Dataset) -> tuple[float, float] | None:
    units = [tags.numbers(f"PhysicalUnits{axis}Direction", item) for axis in "XY"]
    if any(unit is None or unit[0] != _CENTIMETRES for unit in units):
        return None
    across, down = (tags.numbers(f"PhysicalDelta{axis}", item, usable=bool) for axis in "XY")
    if down is None or across is None:
        return None
    row, column = abs(down[0]), abs(across[0])  # negative where an axis points up
    if not _plausible(row, column):
        tags.leave_out("PhysicalDeltaX")
        return None
    return 10 * row, 10 * column  # cm to mm


def _pixel_spacing(tags: Tags, frame: int) -> tuple[float, float] | None:
    for place in (None, *tags.in_groups("PixelMeasuresSequence", frame)):
        found = tags.numbers("PixelSpacing", place, least=2, usable=_plausible)
        if found:
            return found[0], found[1]
    if "NominalScannedPixelSpacing" in tags.dataset:
        tags.notices.append(Notice("scanned_spacing"))
    return None


def _aspect(tags: Tags, keywords: tuple[str, ...] = ("PixelAspectRatio", "NominalScannedPixelSpacing")) -> float | None:
    """PixelAspectRatio, or that of a scanned print; None where there is none."""
    for keyword in keywords:
        found = tags.numbers(keyword, least=2, usable=_plausible)
        if found:
            return found[0] / found[1]  # the vertical size comes first
    return None


def _plausible(row: float, column: float) -> bool:
    return positive(row, column) and 1 / _SLIMMEST <= row / column <= _SLIMMEST


def _differ(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return any(abs(a - b) > _SAME_SCALE * b for a, b in zip(one, other, strict=True))
