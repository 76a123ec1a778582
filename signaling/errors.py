"""What the signaling service refuses, as one tree.

    SignalingError
    ├── BadMessage           not a message of this protocol
    ├── UnsupportedVersion   a peer of another protocol version
    ├── BadToken             no valid token for this room
    ├── RoomFull             no place left for this role
    ├── UnknownPeer          the addressee is not in the room
    ├── RateLimited          a peer sends faster than the service allows
    ├── WrongCertificate     the service is not the one that was meant (client side)
    └── ConnectionLost       the service cannot be reached any more (client side)

Each message is one sentence for a person; `code` is the stable name that travels in `error` messages.
"""


class SignalingError(Exception):
    code = "signaling_error"


class BadMessage(SignalingError):
    code = "bad_message"


class UnsupportedVersion(SignalingError):
    code = "unsupported_version"


class BadToken(SignalingError):
    code = "bad_token"


class RoomFull(SignalingError):
    code = "room_full"


class UnknownPeer(SignalingError):
    code = "unknown_peer"


class RateLimited(SignalingError):
    code = "rate_limited"


class WrongCertificate(SignalingError):
    code = "wrong_certificate"


class ConnectionLost(SignalingError):
    code = "connection_lost"
