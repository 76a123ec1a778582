"""The fixed UDP ports of a machine behind a port mapping, as settings name them and as connections take them."""

import re

from signaling.settings import SettingsError

Ports = tuple[int, ...]

MOST_PORTS = 64


def read_ports(name: str, text: str) -> Ports:
    """Ports as `40000,40001` or `40000-40002`. Raises SettingsError, which begins with `name`."""
    ports: list[int] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = re.fullmatch(r"(\d{1,5})(?:-(\d{1,5}))?", part)
        if found is None:
            raise SettingsError(f"{name}: {part[:32]} is no port; ports are given as 40000,40001 or 40000-40002.")
        first, last = int(found[1]), int(found[2] or found[1])
        if not (1 <= first <= last <= 65_535) or last - first >= MOST_PORTS:
            raise SettingsError(f"{name}: {part} must be ports from 1 to 65535, at most {MOST_PORTS} of them.")
        ports += range(first, last + 1)
    if len(ports) > MOST_PORTS or len(set(ports)) != len(ports):
        raise SettingsError(f"{name}: no port may be there twice, and at most {MOST_PORTS} may be there.")
    return tuple(ports)


def read_public_ports(name: str, text: str, media_ports: Ports) -> Ports:
    """The public port of each of `media_ports`: in their order, or each as `40000:33526`. Raises SettingsError."""
    if ":" not in text:
        return read_ports(name, text)
    public: dict[int, int] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        inside, _, outside = part.partition(":")
        numbers = read_ports(name, inside) + read_ports(name, outside)
        if len(numbers) != 2:
            raise SettingsError(f"{name}: {part[:32]} is no pair of ports such as 40000:33526.")
        public[numbers[0]] = numbers[1]
    if set(public) != set(media_ports):
        raise SettingsError(f"{name}: there must be one pair such as 40000:33526 for each of the media ports.")
    return tuple(public[port] for port in media_ports)
