"""What a person sees of a fresh avatar."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import skia

from models.face.avatar.changes import changes_of, seam_places
from models.face.avatar.contact_sheet import draw_contact_sheet
from models.face.avatar.film import FADE_FRAMES
from models.face.avatar.pack import AvatarPack
from models.face.avatar.report import Report, lines_of, write_report
from models.face.avatar.rules import Rules
from models.interfaces import Image
from tests.avatars import synthetic_pack


@pytest.fixture(scope="module")
def pack() -> AvatarPack:
    return synthetic_pack(frames=30)


def report(**changes: object) -> Report:
    usual: dict[str, object] = {
        "recordings": ("me.mp4",),
        "kind": "loop",
        "seams": (20,),
        "seam_distance": 0.014,
        "mouth": np.full(30, 0.03, np.float32),
        "warnings": (),
    }
    return Report(**(usual | changes))  # type: ignore[arg-type]


def sheet(pack: AvatarPack, seams: tuple[int, ...]) -> Image:
    mouth = np.full(pack.frame_count, 0.03, np.float32)
    return draw_contact_sheet(pack, title="me.mp4", facts="facts", mouth=mouth, open_mouth=0.13, seams=seams)


def test_the_report_says_what_the_avatar_is_and_how_good_its_seam_is(pack: AvatarPack) -> None:
    lines = "\n".join(lines_of(pack, report(), Rules()))
    assert "320x240, face 128x128 px, 30 frames, 1.8 s before it repeats: one loop." in lines
    assert f"1 fade of {FADE_FRAMES} frames; the largest bridges 1.4% of the face's height." in lines
    assert "Between the lips 3% of the mouth's width (closed up to 8%), open in 0 of 30 frames." in lines
    assert lines.endswith("No warnings.")


def test_the_report_ends_with_its_warnings(pack: AvatarPack) -> None:
    lines = lines_of(pack, report(kind="ping-pong", seams=(), warnings=("Sit still.", "Sit nearer.")), Rules())
    assert lines[-2:] == ["Warning: Sit still.", "Warning: Sit nearer."]
    assert not any("fade" in line for line in lines)


def test_both_files_are_written(pack: AvatarPack, tmp_path: Path) -> None:
    write_report(tmp_path, pack, report(), Rules())
    assert (tmp_path / "report.txt").read_text().startswith("Avatar of me.mp4, for MuseTalk 1.5\n")
    assert cv2.imread(str(tmp_path / "contact-sheet.jpg")).shape[1] == 1_600


def test_the_sheet_shows_mask_region_and_box(pack: AvatarPack) -> None:
    drawn = sheet(pack, (20,)).astype(int)
    for colour in ((38, 214, 178), (255, 184, 77), (255, 255, 255)):
        assert (np.abs(drawn - colour).max(axis=2) < 30).sum() > 200
    assert len(drawn) > len(sheet(pack, ())) + 200


class FontlessMachine:
    def matchFamilyStyle(self, family: str | None, style: object) -> None:
        return None


def test_a_machine_without_fonts_gets_a_sheet_without_words(pack: AvatarPack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skia, "FontMgr", FontlessMachine)
    wordless = sheet(pack, ())
    assert wordless.shape[1] == 1_600
    assert not (wordless[32:60] > 60).any()


def test_change_is_counted_around_the_end_and_seams_with_what_leads_into_them(pack: AvatarPack) -> None:
    changes = changes_of(pack)
    assert len(changes) == len(pack.schedule)
    assert changes.min() > 0
    places = seam_places(len(changes), [len(changes) - FADE_FRAMES])
    assert places.tolist() == list(range(len(changes) - FADE_FRAMES - 1, len(changes)))
