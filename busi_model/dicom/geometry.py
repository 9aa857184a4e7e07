"""Where echoes are in a picture, and how many millimetres a pixel is, from its tags."""

import math

from busi_model.frame import Box, Notice

_TWO_D, _TISSUE, _CENTIMETRES = 1, 1, 3  # PS3.3 C.8.5.5.1: spatial format, data type, physical units


def geometry(tags) -> tuple[tuple[Box, ...], tuple[float, float] | None, list[Notice]]:
    """Scan regions and (row, column) millimetres a pixel: from the regions where there are any, else PixelSpacing."""
    regions, spacings = [], set()
    for item in tags.get("SequenceOfUltrasoundRegions") or ():
        left, top, right, bottom = (
            int(item.get(f"RegionLocation{name}", -1)) for name in ("MinX0", "MinY0", "MaxX1", "MaxY1")
        )
        # The last column belongs to the region; many writers give the one after it.
        if not (0 <= left < right <= tags.Columns and 0 <= top < bottom <= tags.Rows):
            text = "The regions that the file describes do not fit its picture: it was cut or resized. "
            return (), None, [Notice("regions_disagree", text + "Lengths in millimetres are unknown.")]
        regions.append(Box(top, left, min(bottom + 1, tags.Rows), min(right + 1, tags.Columns)))
        if (item.get("RegionSpatialFormat"), item.get("RegionDataType")) == (_TWO_D, _TISSUE):
            spacings.add(_region_spacing_mm(item))
    if len(spacings) > 1:
        text = "The file shows several scans at different scales. Lengths in millimetres are unknown."
        return tuple(regions), None, [Notice("spacings_differ", text)]
    if spacings:
        return tuple(regions), spacings.pop(), []
    spacing = tags.get("PixelSpacing")
    return tuple(regions), _positive(*spacing) if spacing and not regions and len(spacing) == 2 else None, []


def _region_spacing_mm(item):
    units = (item.get("PhysicalUnitsXDirection"), item.get("PhysicalUnitsYDirection"))
    if units != (_CENTIMETRES, _CENTIMETRES):
        return None
    return _positive(10 * abs(item.get("PhysicalDeltaY") or 0), 10 * abs(item.get("PhysicalDeltaX") or 0))  # cm to mm


def _positive(row, column):
    row, column = float(row), float(column)
    return (row, column) if 0 < row < math.inf and 0 < column < math.inf else None
