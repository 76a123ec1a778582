"""What a rented machine clones: a public https address and a commit that it has."""

import os
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT_S = 30

Git = Callable[..., str | None]
"""The output of `git ARGUMENTS`, or None when it fails."""


class SourceError(Exception):
    """A rented machine could not get this checkout; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Source:
    repository: str
    commit: str


def git_in(folder: Path) -> Git:
    """git in this folder; it never asks for a password."""

    def git(*arguments: str) -> str | None:
        command = ["git", "-c", "credential.helper=", "-c", "core.askPass=", *arguments]
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                env={**os.environ, "GIT_TERMINAL_PROMPT": "0"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    return git


def find_source(git: Git, *, repository: str | None, commit: str | None) -> Source:
    """The repository and commit to clone, after a look whether anybody can. Raises SourceError."""
    address = public_address(repository) if repository else _remote(git)
    if address is None:
        if repository:
            raise SourceError("UNDERSTUDY_DEPLOY__REPOSITORY must be the https address of a public repository.")
        raise SourceError(
            "This checkout has no remote that a rented machine can clone; name a public repository in "
            "UNDERSTUDY_DEPLOY__REPOSITORY."
        )
    published = _published(git, address)
    if commit is not None:
        return Source(address, commit)
    head = git("rev-parse", "HEAD")
    if head is None:
        raise SourceError("This folder is no git checkout; set UNDERSTUDY_DEPLOY__REPOSITORY and _COMMIT.")
    if head not in published and not _is_behind(git, head, published):
        raise SourceError(
            f"The commit {head[:10]} is not in {address} yet; push it, run `git pull` if others pushed since, or name "
            "another one in UNDERSTUDY_DEPLOY__COMMIT."
        )
    return Source(address, head)


def public_address(remote: str) -> str | None:
    """The https address, without a name or a password, of a remote as git writes it; None for a local one."""
    short = re.fullmatch(r"(?:[\w.-]+@)?([\w.-]+\.[a-z]{2,}):(?!/)([\w./~-]+)", remote)
    if short:
        return f"https://{short[1]}/{short[2]}"
    try:
        parts = urlsplit(remote)
        number = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("https", "http", "ssh", "git") or not parts.hostname or not parts.path.strip("/"):
        return None
    port = f":{number}" if number and parts.scheme == "https" else ""
    address = f"https://{parts.hostname}{port}{parts.path}"
    return address if re.fullmatch(r"https://[\w.:-]+/[\w./~-]+", address) else None


def _remote(git: Git) -> str | None:
    names = (git("remote") or "").split()
    for name in sorted(names, key=lambda name: name != "origin"):
        address = public_address(git("remote", "get-url", name) or "")
        if address is not None:
            return address
    return None


def _published(git: Git, address: str) -> frozenset[str]:
    """The commits at which the repository's branches and tags are, asked without any right. Raises SourceError."""
    listed = git("ls-remote", address)
    if listed is None:
        raise SourceError(
            f"{address} cannot be read without a password, so that a rented machine cannot clone it; publish it or "
            "name another one in UNDERSTUDY_DEPLOY__REPOSITORY."
        )
    return frozenset(line.split()[0] for line in listed.splitlines() if line.strip())


def _is_behind(git: Git, head: str, published: frozenset[str]) -> bool:
    """Whether one of the published commits that this checkout has contains `head`."""
    return any(git("merge-base", "--is-ancestor", head, commit) is not None for commit in sorted(published))
