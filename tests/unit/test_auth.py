import base64
import hashlib
import hmac
from string import ascii_letters, digits
from typing import get_args
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.auth import check, issue, turn_credentials
from signaling.errors import BadToken
from signaling.protocol import Join, Role

SECRET = "correct horse battery"
NOW_S = 1_800_000_000.0


def token(room: str = "main", role: Role = "viewer", lifetime_s: float = 60, secret: str = SECRET) -> str:
    return issue(secret, room=room, role=role, lifetime_s=lifetime_s, now_s=NOW_S)


@pytest.mark.parametrize("role", get_args(Role))
def test_a_token_grants_its_role_in_its_room(role: Role) -> None:
    assert check(SECRET, token(role=role), "main", NOW_S + 59) == role


def test_an_expired_token_says_so() -> None:
    with pytest.raises(BadToken, match="has expired"):
        check(SECRET, token(lifetime_s=60), "main", NOW_S + 60)


def test_a_token_opens_no_other_room() -> None:
    with pytest.raises(BadToken, match="another room"):
        check(SECRET, token(room="main"), "attic", NOW_S)


def test_a_token_of_another_service_is_not_valid() -> None:
    with pytest.raises(BadToken, match="not valid"):
        check(SECRET, token(secret="another secret here"), "main", NOW_S)


@pytest.mark.parametrize(
    "bad", ["", ".", "1.main.viewer.9999999999", "1.main.viewer.9999999999.", "ü.ö", "1....", "a" * 512]
)
def test_what_is_no_token_is_not_valid(bad: str) -> None:
    with pytest.raises(BadToken, match="not valid"):
        check(SECRET, bad, "main", NOW_S)


@given(place=st.integers(min_value=0), character=st.sampled_from(ascii_letters + digits + "._-"))
def test_a_token_with_any_character_changed_is_refused(place: int, character: str) -> None:
    good = token()
    place %= len(good)
    if good[place] != character:
        with pytest.raises(BadToken):
            check(SECRET, good[:place] + character + good[place + 1 :], "main", NOW_S)


def test_a_viewer_cannot_make_itself_the_performer() -> None:
    with pytest.raises(BadToken):
        check(SECRET, token(role="viewer").replace("viewer", "performer"), "main", NOW_S)


def test_a_token_survives_a_url_fragment_and_fits_into_a_join() -> None:
    longest = token(room="r" * 64, role="performer")
    assert quote(longest, safe="") == longest
    Join(version=1, room="r" * 64, token=longest)


def test_a_room_with_an_impossible_name_gets_no_token() -> None:
    with pytest.raises(ValueError, match=r"^The name of a room is 1 to 64 letters"):
        token(room="main.performer")


def test_turn_credentials_are_those_of_coturn() -> None:
    server = turn_credentials("north", ("turn:turn.example.org:3478",), lifetime_s=3600, now_s=NOW_S, user="main")
    assert server.username == "1800003600:main"
    expected = hmac.new(b"north", b"1800003600:main", hashlib.sha1).digest()
    assert server.credential == base64.b64encode(expected).decode()
    assert server.urls == ("turn:turn.example.org:3478",)


def test_turn_credentials_without_a_user_are_the_expiry_alone() -> None:
    assert turn_credentials("north", (), lifetime_s=60, now_s=NOW_S).username == "1800000060"
