"""What a host is ordered to do: where it clones from, what its start-up text does, and what it is told."""

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from deploy.vast.order import CHECKOUT, LONGEST_ONSTART, onstart, wishes_of
from deploy.vast.source import Source, SourceError, find_source, git_in, public_address
from peer_remote.settings import Settings

HEAD, OTHER = "a" * 40, "b" * 40


class FakeGit:
    """Answers `git ARGUMENTS` from a table; what is not in it fails."""

    def __init__(self, answers: Mapping[str, str]) -> None:
        self._answers = answers

    def __call__(self, *arguments: str) -> str | None:
        return self._answers.get(" ".join(arguments))


PUBLISHED = {
    "remote": "backup\norigin",
    "remote get-url origin": "git@github.com:somebody/double.git",
    "remote get-url backup": "/mnt/backup/double.git",
    "ls-remote https://github.com/somebody/double.git": f"{HEAD}\tHEAD\n{HEAD}\trefs/heads/main",
    "rev-parse HEAD": HEAD,
}


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/somebody/double.git", "https://github.com/somebody/double.git"),
        ("https://me:token@github.com/somebody/double", "https://github.com/somebody/double"),
        ("git@github.com:somebody/double.git", "https://github.com/somebody/double.git"),
        ("ssh://git@git.example.org:2222/double.git", "https://git.example.org/double.git"),
        ("/home/me/double.git", None),
        ("file:///home/me/double.git", None),
        ("https://github.com/somebody/double; rm -rf /", None),
        ("https://github.com:99999/somebody/double", None),
        ("https://[github.com/somebody/double", None),
        ("", None),
    ],
)
def test_a_host_clones_over_https_and_without_anybodys_password(remote: str, address: str | None) -> None:
    assert public_address(remote) == address


def test_the_checkouts_own_commit_is_cloned() -> None:
    source = find_source(FakeGit(PUBLISHED), repository=None, commit=None)
    assert source == Source("https://github.com/somebody/double.git", HEAD)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rev-parse HEAD": OTHER}, "The commit bbbbbbbbbb is not in .* yet; push it"),
        ({"remote": ""}, "no remote that a rented machine can clone"),
        ({"ls-remote https://github.com/somebody/double.git": None}, "cannot be read without a password"),
    ],
)
def test_what_cannot_be_cloned_is_said_before_anything_is_rented(changes: dict[str, str | None], sentence: str) -> None:
    answers = {name: answer for name, answer in {**PUBLISHED, **changes}.items() if answer is not None}
    with pytest.raises(SourceError, match=sentence):
        find_source(FakeGit(answers), repository=None, commit=None)


def test_an_older_commit_of_a_published_branch_is_fine() -> None:
    git = FakeGit({**PUBLISHED, "rev-parse HEAD": OTHER, f"merge-base --is-ancestor {OTHER} {HEAD}": ""})
    assert find_source(git, repository=None, commit=None).commit == OTHER


def test_the_start_up_text_clones_the_commit_and_starts_it_also_a_second_time(tmp_path: Path) -> None:
    published, checkout = tmp_path / "published", tmp_path / "source"
    (published / "deploy").mkdir(parents=True)
    (published / "deploy" / "onstart.sh").write_text('echo "started $(git rev-parse HEAD)"\n')
    git = git_in(published)
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    for words in (("init", "-q"), ("add", "."), (*identity, "commit", "-q", "-m", "Start")):
        assert git(*words) is not None
    head = git("rev-parse", "HEAD")
    assert head is not None
    text = onstart(Source(str(published), head)).replace(CHECKOUT, str(checkout)).replace("/proc/1/fd/1", "/nowhere")
    for _ in range(2):
        done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=30)
        assert done.stdout.splitlines()[-1] == f"started {head}", done.stderr


def test_what_a_start_says_is_in_the_containers_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    text = onstart(Source(str(tmp_path / "nowhere"), HEAD)).replace(CHECKOUT, str(tmp_path / "source"))
    done = subprocess.run(["bash", "-c", text.replace("/proc/1/fd/1", str(log))], capture_output=True, timeout=30)
    assert done.returncode == 1 and done.stdout == b""
    assert "source failed: The repository cannot be cloned." in log.read_text()


def test_a_repository_that_cannot_be_cloned_is_told_as_progress(tmp_path: Path) -> None:
    text = onstart(Source(str(tmp_path / "nowhere"), HEAD)).replace(CHECKOUT, str(tmp_path / "source"))
    done = subprocess.run(
        ["bash", "-c", text.replace("/proc/1/fd/1", "/nowhere")], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].endswith("source failed: The repository cannot be cloned.")


def test_the_start_up_text_stays_short() -> None:
    assert len(onstart(Source("https://github.com/" + "x" * 100, HEAD))) <= LONGEST_ONSTART
    with pytest.raises(SourceError, match="too long"):
        onstart(Source("https://github.com/" + "x" * 400, HEAD))


def _paths(section: type[BaseModel], *above: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        inside = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        for kind in inside:
            if issubclass(kind, BaseModel) and len(above) < 4:  # some hold others of their kind
                yield from _paths(kind, *above, name)
            if issubclass(kind, Path):
                yield "__".join((*above, name))


def test_no_path_of_this_machine_travels() -> None:
    paths = list(_paths(Settings))
    assert "persona__notes_dir" in paths
    assert wishes_of({f"UNDERSTUDY_{path.upper()}": "/home/me/x" for path in paths}) == {}


def test_wishes_travel_and_this_machines_paths_keys_and_addresses_do_not() -> None:
    variables = {
        "UNDERSTUDY_TTS__FISH_SPEECH__TEMPERATURE": "0.6",
        "UNDERSTUDY_PERSONA__NAME": "Marta",
        "UNDERSTUDY_TTS__FISH_SPEECH__KEY": "secret",
        "UNDERSTUDY_LLM__URL": "http://127.0.0.1:8001",
        "UNDERSTUDY_PERSONA__FILE": "/home/me/persona.md",
        "UNDERSTUDY_PERSONA__NOTES_DIR": "/home/me/notes",
        "UNDERSTUDY_REMOTE__NOTICE_FILE": "/home/me/notice",
        "UNDERSTUDY_CAMERA__FPS": "25",
        "UNDERSTUDY_DEPLOY__API_KEY": "secret",
        "VAST_API_KEY": "secret",
        "PATH": "/usr/bin",
    }
    assert wishes_of(variables) == {
        "UNDERSTUDY_TTS__FISH_SPEECH__TEMPERATURE": "0.6",
        "UNDERSTUDY_PERSONA__NAME": "Marta",
    }
