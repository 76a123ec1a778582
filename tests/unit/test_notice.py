"""What whoever runs the machine tells reaches everybody once, and is taken back."""

from pathlib import Path

from peer_remote.notice import NoticeFile
from signaling.protocol import Notice

LINE = "The machine of the double goes off in 5 minutes."


def test_a_line_in_the_file_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "notice"
    notices = NoticeFile(file)
    assert notices.look() is None
    file.write_text(f"{LINE}\n")
    assert notices.look() == Notice(text=LINE)
    assert notices.look() is None
    assert notices.text == LINE


def test_it_is_taken_back_when_the_file_goes_away(tmp_path: Path) -> None:
    file = tmp_path / "notice"
    file.write_text(LINE)
    notices = NoticeFile(file)
    notices.look()
    file.unlink()
    assert notices.look() == Notice(text="")
    assert notices.look() is None


def test_a_file_of_anything_is_one_short_line(tmp_path: Path) -> None:
    file = tmp_path / "notice"
    file.write_bytes(b"\xff" * 2_000 + b"\nmore")
    notice = NoticeFile(file).look()
    assert notice is not None and len(notice.text) == 512
