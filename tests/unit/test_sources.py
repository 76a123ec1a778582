"""The hub over HTTP and the package clients as programs, without a network."""

import sys
import tarfile
import threading
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from models.errors import WeightsError
from models.weights.catalog import HubSource, PackageSource, WeightFile
from models.weights.hub import CHUNK_BYTES, Hub
from models.weights.packages import PackageStore, Pip
from models.weights.sources import SourceFailed, SourceUnreachable, Stopped, StopSignal
from tests.unit.weight_sources import FakeHub, fake_hub, hub_source, package_source, weight_file

CONTENT = b"weights" * 1000


def download(hub: FakeHub, source: HubSource, into: Path, token: str | None = None) -> bytes:
    client = Hub(StopSignal(), endpoint=hub.url, token=token, wait=lambda seconds: None)
    file = WeightFile.model_validate(weight_file("model.bin", None, hub_source("model.bin")))
    return client.download(source, file, into / "model.part", lambda count: None).path.read_bytes()


def source(path: str) -> HubSource:
    return HubSource.model_validate(hub_source(path))


def test_a_pattern_finds_the_one_file_that_matches(tmp_path: Path) -> None:
    files = {"owner/repo/resolve/main/Mamay-Q4_K_M.gguf": CONTENT, "owner/repo/resolve/main/mmproj-F16.gguf": b""}
    with fake_hub(files) as hub:
        assert download(hub, source("Mamay*Q4_K_M*.gguf"), tmp_path) == CONTENT


def test_a_pattern_that_matches_several_files_is_refused(tmp_path: Path) -> None:
    files = {"owner/repo/resolve/main/a.gguf": b"a", "owner/repo/resolve/main/b.gguf": b"b"}
    with fake_hub(files) as hub, pytest.raises(SourceFailed, match=r"has 2 files that match \*\.gguf, not one"):
        download(hub, source("*.gguf"), tmp_path)


def test_a_gated_model_says_what_to_do(tmp_path: Path) -> None:
    with fake_hub({}) as hub:
        hub.refuse = 401
        with pytest.raises(SourceFailed, match=r"accept the model's terms at .*/owner/repo and set HF_TOKEN"):
            download(hub, source("model.bin"), tmp_path)
        assert len(hub.requests) == 1


def test_the_token_is_sent_to_the_hub(tmp_path: Path) -> None:
    with fake_hub({"owner/repo/resolve/main/model.bin": CONTENT}) as hub:
        download(hub, source("model.bin"), tmp_path, token="secret")
        assert hub.tokens == ["Bearer secret"]


def test_a_hub_with_trouble_is_asked_a_few_times_and_then_left(tmp_path: Path) -> None:
    with fake_hub({}) as hub:
        hub.refuse = 503
        with pytest.raises(SourceFailed, match="answers 503"):
            download(hub, source("model.bin"), tmp_path)
        assert 2 <= len(hub.requests) <= 5


def test_a_hub_that_does_not_answer_is_asked_once_for_all_files(tmp_path: Path) -> None:
    client = Hub(StopSignal(), endpoint="http://127.0.0.1:9")
    assert not client.reachable(source("a"))
    file = WeightFile.model_validate(weight_file("a", None, hub_source("a")))
    with pytest.raises(SourceUnreachable, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        client.download(source("b"), file, tmp_path / "part", lambda count: None)


def test_stopping_ends_a_download_and_keeps_what_came(tmp_path: Path) -> None:
    content = bytes(5_000_000)
    with fake_hub({"owner/repo/resolve/main/model.bin": content}) as hub:
        stop = StopSignal()
        client = Hub(stop, endpoint=hub.url)
        file = WeightFile.model_validate(weight_file("model.bin", None, hub_source("model.bin")))
        with pytest.raises(Stopped):
            client.download(source("model.bin"), file, tmp_path / "part", lambda count: stop.set() if count else None)
    assert 0 < (tmp_path / "part").stat().st_size < len(content)


def test_stopping_ends_a_download_that_hangs(tmp_path: Path) -> None:
    path = "owner/repo/resolve/main/model.bin"
    part = tmp_path / "part"
    with fake_hub({path: bytes(4 * CHUNK_BYTES)}) as hub:
        hub.hang_after[path] = CHUNK_BYTES + 1000
        stop = StopSignal()
        reads_on = threading.Event()

        def stop_then() -> None:
            reads_on.wait(10)
            stop.set()

        stopping = threading.Thread(target=stop_then)
        stopping.start()
        file = WeightFile.model_validate(weight_file("model.bin", None, hub_source("model.bin")))
        with pytest.raises(Stopped):
            Hub(stop, endpoint=hub.url).download(
                source("model.bin"), file, part, lambda count: reads_on.set() if count else None
            )
        stopping.join()
    assert part.stat().st_size >= CHUNK_BYTES


def test_a_hub_that_is_no_address_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "garbage")
    with pytest.raises(WeightsError, match=r"^HF_ENDPOINT is garbage, which is not an address such as https://"):
        Hub(StopSignal())


class TarClient:
    """A client that brings an npm tarball."""

    def __init__(self, members: dict[str, bytes]) -> None:
        self.members = members

    def download(self, package: str, version: str, into: Path, stop: StopSignal, on_bytes: object) -> Path:
        archive = into / f"{package}-{version}.tgz"
        with tarfile.open(archive, "w:gz") as tarball:
            for name, content in self.members.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                tarball.addfile(entry, BytesIO(content))
        return archive


def test_members_come_out_of_a_tarball(tmp_path: Path) -> None:
    wanted = PackageSource.model_validate(package_source(("voices", "package/v/a.bin")) | {"registry": "npm"})
    store = PackageStore(tmp_path, {"npm": TarClient({"package/v/a.bin": CONTENT})}, StopSignal())
    store.want(wanted)
    assert store.request(wanted, wanted.parts[0], lambda count: None).result(10).read_bytes() == CONTENT
    store.close()


def test_a_package_without_the_member_is_refused(tmp_path: Path) -> None:
    wanted = PackageSource.model_validate(package_source(("voices", "package/v/b.bin")) | {"registry": "npm"})
    store = PackageStore(tmp_path, {"npm": TarClient({"package/v/a.bin": CONTENT})}, StopSignal())
    store.want(wanted)
    with pytest.raises(SourceFailed, match=r"package voices 1\.0 does not hold package/v/b\.bin"):
        store.request(wanted, wanted.parts[0], lambda count: None).result(10)
    store.close()


def script(folder: Path, body: str) -> str:
    """A program that stands in for Python; it gets pip's arguments."""
    path = folder / "python"
    path.write_text(f"#!{sys.executable}\nimport sys, os, time\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(sys.platform == "win32", reason="stands in for Python with a script")
class TestPip:
    def test_a_wheel_is_downloaded_and_its_bytes_are_counted(self, tmp_path: Path) -> None:
        wheel = tmp_path / "made.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("m", CONTENT)
        body = f"""
assert sys.argv[1:4] == ["-m", "pip", "download"] and sys.argv[-1] == "pkg==1.0"
into = sys.argv[sys.argv.index("--dest") + 1]
open(into + "/pkg-1.0-py3-none-any.whl", "wb").write(open({str(wheel)!r}, "rb").read())
"""
        into = tmp_path / "into"
        into.mkdir()
        found = Pip(script(tmp_path, body)).download("pkg", "1.0", into, StopSignal(), lambda count: None)
        assert found.name == "pkg-1.0-py3-none-any.whl"

    def test_an_index_that_cannot_be_reached_is_told_apart(self, tmp_path: Path) -> None:
        body = "print('WARNING: Retrying after connection broken by NewConnectionError'); sys.exit(1)"
        with pytest.raises(SourceUnreachable, match="pip's package index cannot be reached"):
            Pip(script(tmp_path, body)).download("pkg", "1.0", tmp_path, StopSignal(), lambda count: None)

    def test_another_failure_is_told_in_pips_words(self, tmp_path: Path) -> None:
        body = "print('ERROR: No matching distribution found for pkg==1.0'); sys.exit(1)"
        with pytest.raises(SourceFailed, match="pip failed: ERROR: No matching distribution"):
            Pip(script(tmp_path, body)).download("pkg", "1.0", tmp_path, StopSignal(), lambda count: None)

    def test_a_full_disk_is_not_blamed_on_the_source(self, tmp_path: Path) -> None:
        body = "print('ERROR: [Errno 28] No space left on device'); sys.exit(1)"
        with pytest.raises(OSError, match="No space left on device"):
            Pip(script(tmp_path, body)).download("pkg", "1.0", tmp_path, StopSignal(), lambda count: None)

    def test_stopping_ends_the_client(self, tmp_path: Path) -> None:
        stop = StopSignal()
        stop.set()
        with pytest.raises(Stopped):
            Pip(script(tmp_path, "time.sleep(60)")).download("pkg", "1.0", tmp_path, stop, lambda count: None)
