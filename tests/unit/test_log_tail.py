import io
import logging

from peer_local.screen.log_tail import LogTail
from signaling import logs


def test_the_log_waits_for_the_screen_to_end() -> None:
    tail, stream = LogTail(kept_lines=2), io.StringIO()
    for number in range(3):
        tail.write(f"{number}\n")
    assert stream.getvalue() == ""
    tail.release(stream)
    tail.write("later\n")
    assert stream.getvalue() == "(1 earlier lines of the log were not kept)\n1\n2\nlater\n"


def test_it_is_a_stream_for_the_programs_log() -> None:
    tail, stream = LogTail(), io.StringIO()
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        logs.setup("info", stream=tail)
        logging.getLogger("peer_local").info("device_gone", extra={"what": "camera"})
    finally:
        for handler in [handler for handler in root.handlers if handler not in before]:
            root.removeHandler(handler)
        root.setLevel(level)
    tail.release(stream)
    assert stream.getvalue().endswith("INFO peer_local device_gone what=camera\n")
