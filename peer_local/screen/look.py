"""Colours, signs and measures that the parts of the screen share."""

from rich.cells import cell_len
from rich.text import Text

from peer_local.interfaces import Who
from peer_local.screen.view import Speaker

DIM = "grey54"
WARNING = "bold #facc15"
ON_AIR: dict[Who, tuple[str, str]] = {
    "double": ("DOUBLE", "#7e22ce"),
    "self": ("YOU", "#15803d"),
    "nobody": ("NOBODY", "#44403c"),
}
"""The word and its ground; told apart without colours, too."""
STATE_STYLES = {
    "listening": ("◌", "bold black on #a7f3d0"),
    "processing": ("◔", "bold black on #fde68a"),
    "speaking": ("▶", "bold black on #f5d0fe"),
    "held": ("❚❚", "bold black on #fdba74"),
}
SPEAKERS: dict[Speaker, tuple[str, str]] = {
    "call": ("call", "#38bdf8"),
    "typed": ("typed", "#a3a3a3"),
    "double": ("double", "#d8b4fe"),
    "self": ("you", "#4ade80"),
}


def fit(line: Text, width: int) -> Text:
    """The line on exactly `width` columns: cut with an ellipsis or filled with blanks."""
    cells = cell_len(line.plain)
    if cells > width:
        line.truncate(width, overflow="ellipsis")
        cells = cell_len(line.plain)
    if cells < width:
        line.append(" " * (width - cells))
    line.no_wrap = True
    return line


def spread(left: Text, right: Text, width: int, ground: str = "") -> Text:
    """`left` at the left edge and `right` at the right one; when they do not fit, `right` is cut."""
    gap = width - cell_len(left.plain) - cell_len(right.plain)
    if gap < 1:
        right.truncate(max(0, width - cell_len(left.plain) - 1), overflow="ellipsis")
        gap = max(1, width - cell_len(left.plain) - cell_len(right.plain))
    whole = left.copy()
    whole.append(" " * gap, ground)
    whole.append_text(right)
    return fit(whole, width)
