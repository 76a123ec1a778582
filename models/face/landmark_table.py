"""Names for points of MediaPipe's face mesh of 468 points.

Left and right are those of the picture. Lines run from the picture's left to its right, the oval clockwise from the
top. Source: mediapipe/python/solutions/face_mesh_connections.py and canonical_face_model.obj (Apache-2.0).
"""

MESH_POINTS = 468

Indices = tuple[int, ...]

LIPS_OUTER_UPPER: Indices = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
LIPS_OUTER_LOWER: Indices = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
LIPS_INNER_UPPER: Indices = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
LIPS_INNER_LOWER: Indices = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)

EYE_LEFT_UPPER: Indices = (33, 246, 161, 160, 159, 158, 157, 173, 133)
EYE_LEFT_LOWER: Indices = (33, 7, 163, 144, 145, 153, 154, 155, 133)
EYE_RIGHT_UPPER: Indices = (362, 398, 384, 385, 386, 387, 388, 466, 263)
EYE_RIGHT_LOWER: Indices = (362, 382, 381, 380, 374, 373, 390, 249, 263)
EYE_LEFT_OUTER, EYE_LEFT_INNER = 33, 133
EYE_RIGHT_INNER, EYE_RIGHT_OUTER = 362, 263

BROW_LEFT_UPPER: Indices = (70, 63, 105, 66, 107)
BROW_LEFT_LOWER: Indices = (46, 53, 52, 65, 55)
BROW_RIGHT_UPPER: Indices = (336, 296, 334, 293, 300)
BROW_RIGHT_LOWER: Indices = (285, 295, 282, 283, 276)

FACE_OVAL: Indices = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)
FOREHEAD, CHIN = 10, 152
CHEEK_LEFT, CHEEK_RIGHT = 234, 454
"""The sides of the face, before the ears."""
CHEEK_LEFT_SKIN: Indices = (50, 101, 205, 187)
CHEEK_RIGHT_SKIN: Indices = (280, 330, 425, 411)
"""Around plain skin below the eyes."""

NOSE_BRIDGE: Indices = (168, 6, 197, 195, 5, 4)
"""From between the eyes down to the tip."""
NOSE_TIP = 1
NOSE_BASE = 2
NOSE_LEFT, NOSE_RIGHT = 64, 294
"""Outer edges of the wings."""

MUSETALK_NOSE: tuple[Indices, ...] = ((168,), (6, 197), (195,), (4, 5))
"""Points 27 to 30 of the 68 that MuseTalk's face box is made of: each is the mean of these points of the mesh."""
MUSETALK_LEFT, MUSETALK_RIGHT = 127, 356
"""Where the jaw line of the 68 points begins and ends: the sides of MuseTalk's face box."""
MUSETALK_CHIN = CHIN
