"""Where the sound of a picture lies: samples at 16 kHz, Whisper's feature rows of 20 ms, pictures of 40 ms.

Row i hears the samples 320 i - 520 to 320 i + 520: two convolutions over three frames each, on windows of 25 ms. A
picture needs its own two rows, four before and four after them.
"""

from typing import Final

FEATURE_RATE_HZ: Final = 16_000
"""Rate of the sound that Whisper takes."""

ROW_SAMPLES: Final = 320
"""One row of features is 20 ms."""

ROWS_PER_SECOND: Final = FEATURE_RATE_HZ // ROW_SAMPLES

WINDOW_SAMPLES: Final = 480_000
"""Whisper always hears 30 s; what is not there yet is silence."""

WINDOW_ROWS: Final = WINDOW_SAMPLES // ROW_SAMPLES

FRAME_SAMPLES: Final = 640
"""One picture is 40 ms."""

LEFT_ROWS: Final = 4
"""Rows before the picture's own: two pictures' worth."""

PICTURE_ROWS: Final = 10
"""Rows of one picture: MuseTalk was trained with two pictures' sound on both sides of its own."""

RECEPTIVE_SAMPLES: Final = 520
"""How far a row hears to either side before self-attention, 32.5 ms."""

LOOKAHEAD_SAMPLES: Final = (PICTURE_ROWS - LEFT_ROWS - 1) * ROW_SAMPLES + RECEPTIVE_SAMPLES
"""2,120 samples, 132.5 ms: a picture can be made when the sound is known until so long after its start."""


def first_row(frame: int, fps: int = 25) -> int:
    """The first of the ten rows of picture `frame`; negative before the sound begins.

    MuseTalk's slicing (musetalk/utils/audio_processor.py): floor(frame * 50 / fps), with four zero vectors put before
    the rows, so that the ten are centred on the picture.
    """
    return frame * ROWS_PER_SECOND // fps - LEFT_ROWS
