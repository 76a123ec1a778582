"""Everything that can go wrong on the laptop's side.

LocalError
├── DeviceError      a camera, microphone or sound device is missing, busy, unplugged or refuses a format
├── LinkLost         the performer cannot be reached at the moment
└── ControlRefused   a command that the running program does not take

Every message is one sentence that says what to do.
"""


class LocalError(Exception):
    """Base of them all; `code` is for logs and the control interface."""

    code = "local_error"


class DeviceError(LocalError):
    code = "device_error"


class LinkLost(LocalError):
    code = "link_lost"


class ControlRefused(LocalError):
    code = "control_refused"
