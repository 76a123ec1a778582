"""The stand-in for Fish Speech's server answers as the real one did; `python -m tests.bench s1_mini` asks again."""

from tests.bench.fish_conduct import conduct
from tests.fish_server import FishServer, wav

REAL = {
    "GET health": "200 application/json: status",
    "POST health": "200 application/json: status",
    "health without a key": "401 application/json: error,message,statusCode",
    "health with another key": "401 application/json: error,message,statusCode",
    "speech without a key": "401 application/json: error,message,statusCode",
    "an unknown path": "404 application/json: error,message,statusCode",
    "speech by GET": "405 application/octet-stream: nothing",
    "add a voice": "200 application/msgpack: message,reference_id,success True",
    "add it again": "409 application/msgpack: message,reference_id,success False",
    "add without words": "400 application/msgpack: message,reference_id,success False",
    "add with a bad name": "400 application/msgpack: message,reference_id,success False",
    "add without a name": "400 application/msgpack: message,reference_id,success False",
    "add without a recording": "415 application/json: error,message,statusCode",
    "list as application/msgpack": "200 application/msgpack: message,reference_ids,success True ['conduct']",
    "list as application/json": "200 application/json: message,reference_ids,success True ['conduct']",
    "list when nothing is said of the form": "200 application/msgpack: message,reference_ids,success True ['conduct']",
    "forget an unknown one": "404 application/msgpack: message,reference_id,success False",
    "forget an empty name": "400 application/msgpack: message,reference_id,success False",
    "forget without a name": "422 application/json: a list",
    "speak": "200 audio/wav: sound",
    "speak with the cache": "200 audio/wav: sound",
    "speak all at once": "200 audio/wav: a WAV file at 44100 Hz",
    "speak, asked in JSON": "200 audio/wav: sound",
    "stream MP3": "400 application/json: error,message,statusCode",
    "an unknown format": "422 application/json: a list",
    "no text": "422 application/json: a list",
    "too hot": "422 application/json: a list",
    "top_p as text": "422 application/json: a list",
    "a seed": "200 audio/wav: sound",
    "no msgpack": "500 application/json: error,message,statusCode",
    "a body of another kind": "415 application/json: error,message,statusCode",
    "a recording sent along": "200 audio/wav: sound",
    "speak as nobody": "200 audio/wav: sound",
    "list after that": "200 application/msgpack: message,reference_ids,success True ['conduct']",
    "add somebody under that name": "409 application/msgpack: message,reference_id,success False",
    "forget nobody": "200 application/msgpack: message,reference_id,success True",
    "forget the voice": "200 application/msgpack: message,reference_id,success True",
    "forget it again": "404 application/msgpack: message,reference_id,success False",
    "add what is no sound": "200 application/msgpack: message,reference_id,success True",
    "speak with it": "broken off: ClientPayloadError",
    "health at last": "200 application/json: status",
}
"""Commit d3df50503b36 with random weights."""


async def test_the_stand_in_answers_well_and_badly_formed_requests_as_the_real_server_did() -> None:
    with FishServer(key="key") as server:
        assert await conduct(server.url, "key", wav(b"\0\0" * 44_100)) == REAL
