"""What whoever runs this machine tells everybody who is connected: one line in a file, as long as it is there.

The performer polls it: a file needs no port and no key, and both sides may be started again at any time.
"""

from pathlib import Path
from typing import Final

from signaling.protocol import Notice

LOOK_S: Final = 1.0
LONGEST: Final = 512


class NoticeFile:
    """The line in `file`; an empty one and a file that is not there are no notice."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.text = ""

    def look(self) -> Notice | None:
        """The notice, when it is another one than at the last look."""
        before, self.text = self.text, self._read()
        return None if self.text == before else Notice(text=self.text)

    def _read(self) -> str:
        try:
            lines = self._file.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[0][:LONGEST] if lines else ""
