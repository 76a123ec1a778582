"""What a person should see of a fresh avatar: report.txt, and contact-sheet.jpg beside it."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from models.face.avatar.changes import changes_of, seam_places
from models.face.avatar.contact_sheet import draw_contact_sheet
from models.face.avatar.film import FADE_FRAMES, Kind
from models.face.avatar.pack import AvatarPack
from models.face.avatar.rules import Rules
from models.face.avatar.smoothing import Floats
from models.interfaces import BEATS_PER_SECOND

SHEET_NAME = "contact-sheet.jpg"
TEXT_NAME = "report.txt"
_JPEG_QUALITY = 90
_KINDS: dict[Kind, str] = {
    "loop": "one loop",
    "mixture": "parts that begin and end in the same pose, in changing order",
    "ping-pong": "forwards and backwards, because no pose returns",
    "still": "one still picture",
}


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What was found out while an avatar was made."""

    recordings: tuple[str, ...]
    kind: Kind
    seams: tuple[int, ...]
    """Positions of the schedule at which a fade begins."""
    seam_distance: float
    """The largest pose distance that a fade bridges, in heights of the face."""
    mouth: Floats
    """[N]: height between the inner lips by the mouth's width."""
    warnings: tuple[str, ...]


def write_report(directory: Path, pack: AvatarPack, report: Report, rules: Rules) -> None:
    """Write both files. Takes a second."""
    (directory / TEXT_NAME).write_text("\n".join(lines_of(pack, report, rules)) + "\n", encoding="utf-8")
    sheet = draw_contact_sheet(
        pack,
        title=", ".join(report.recordings),
        facts=facts_of(pack, report),
        mouth=report.mouth,
        open_mouth=rules.open_mouth,
        seams=report.seams,
    )
    done, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    )
    if done:
        (directory / SHEET_NAME).write_bytes(encoded.tobytes())


def facts_of(pack: AvatarPack, report: Report) -> str:
    """The avatar in one line."""
    face_width_px, face_height_px = pack.boxes[0, 2:] - pack.boxes[0, :2]
    return (
        f"{pack.width_px}x{pack.height_px}, face {face_width_px:.0f}x{face_height_px:.0f} px, "
        f"{pack.frame_count} frames, {len(pack.schedule) / BEATS_PER_SECOND:.1f} s before it repeats: "
        f"{_KINDS[report.kind]}"
    )


def lines_of(pack: AvatarPack, report: Report, rules: Rules) -> list[str]:
    """The report as text."""
    changes = changes_of(pack)
    lines = [
        f"Avatar of {', '.join(report.recordings)}, for MuseTalk {rules.version}",
        "",
        facts_of(pack, report) + ".",
    ]
    if report.seams:
        at_seams = changes[seam_places(len(changes), report.seams)]
        elsewhere = np.delete(changes, seam_places(len(changes), report.seams))
        count = f"{len(report.seams)} fades" if len(report.seams) > 1 else "1 fade"
        lines.append(
            f"{count} of {FADE_FRAMES} frames; the largest bridges {report.seam_distance:.1%} of the face's height. "
            f"The picture changes there by {at_seams.max():.2f} levels a frame at most, elsewhere by "
            f"{np.median(elsewhere):.2f} ordinarily and {elsewhere.max():.2f} at most."
        )
    open_count = int((report.mouth > rules.open_mouth).sum())
    lines.append(
        f"Between the lips {np.median(report.mouth):.0%} of the mouth's width (closed up to {rules.closed_mouth:.0%}), "
        f"open in {open_count} of {pack.frame_count} frames"
        + (", which take their reference from frames with a closed mouth." if open_count else ".")
    )
    lines.append(f"Mouth region {pack.roi_width_px}x{pack.roi_height_px} px.")
    lines += ["", *(f"Warning: {warning}" for warning in report.warnings)] if report.warnings else ["", "No warnings."]
    return lines
