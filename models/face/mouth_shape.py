"""What a mouth does at one moment."""

from typing import NamedTuple


class MouthShape(NamedTuple):
    """A mouth, relative to a relaxed closed one. `width` is in [-1, 1], the rest in [0, 1]."""

    opening: float = 0.0
    """How far the jaw is down."""
    width: float = 0.0
    """Corners drawn apart (1) or together (-1)."""
    rounding: float = 0.0
    """Lips pushed forward into a ring."""
    teeth: float = 0.0
    """Rows of teeth close together and bared, as for s, z."""
    tongue: float = 0.0
    """Tip of the tongue up at the teeth, as for l, n, d, t; between them for th."""
    press: float = 0.0
    """Lips pressed together, as for m, b, p; at 1 the mouth is shut."""
    bite: float = 0.0
    """Upper teeth on the lower lip, as for f, v."""

    def toward(self, other: "MouthShape", share: float) -> "MouthShape":
        """The shape `share` of the way to `other`."""
        return MouthShape(*(a + (b - a) * share for a, b in zip(self, other, strict=True)))

    def limited(self, previous: "MouthShape", step: float) -> "MouthShape":
        """This shape, or as near to it as `step` per number allows coming from `previous`."""
        return MouthShape(*(min(max(a, b - step), b + step) for a, b in zip(self, previous, strict=True)))


REST = MouthShape()
