"""What a spreadsheet would take for a command becomes text: names and comments are their senders' choice."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # OWASP, CSV injection


def without_formula(cell: object) -> object:
    """A cell of any type -> the same; text that begins a formula gets a ' in front."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_STARTS) else cell
