"""What is rented under our label, and the sentences about it that several commands say."""

import sys
from collections.abc import Callable, Sequence

from deploy import connection_file
from deploy.console import SetupError
from deploy.vast.account import is_ours
from deploy.vast.client import patiently
from deploy.vast.desk import Desk
from deploy.vast.instance import Instance
from deploy.vast.ledger import LedgerError
from deploy.vast.removal import Left

SSH_PORT = 22
NO_SSH = "There is no ssh on this machine; install OpenSSH's client."
PAGE = "https://cloud.vast.ai/instances/"


def ours(desk: Desk) -> list[Instance]:
    """Everything that carries our label, or one of which there is a record here. Raises WireError."""
    listed = patiently(desk.vast.instances, sleep=desk.sleep)
    return [instance for instance in listed if belongs(instance, desk)]


def belongs(instance: Instance, desk: Desk) -> bool:
    """Whether it is ours, also when UNDERSTUDY_DEPLOY__LABEL was another one when it was rented."""
    return is_ours(instance, desk.settings.label) or desk.records.knows(instance.label)


def forget_the_gone(desk: Desk, found: Sequence[Instance]) -> bool:
    """Let `make local` perform here again when the double that it was told of is gone; whether that was so."""
    connection = connection_file.read(desk.root)
    record = desk.records.with_pin(connection.pin) if connection is not None and connection.pin else None
    if record is None or any(instance.label == record.label for instance in found):
        return False
    connection_file.remove(desk.root)
    desk.records.forget(record.label)
    return True


def noted(entry: Callable[[], object]) -> None:
    """Write something down in the ledger; where that fails it is said, and the rest is done all the same."""
    try:
        entry()
    except LedgerError as error:
        print(error, file=sys.stderr)


def the_one(instances: Sequence[Instance], number: int | None) -> Instance:
    """The instance that a command is about. Raises SetupError."""
    if number is not None:
        found = [instance for instance in instances if instance.id == number]
        if not found:
            raise SetupError(f"Instance {number} is not one of ours; `python -m deploy status` lists them.")
        return found[0]
    if not instances:
        raise SetupError("Nothing is rented.")
    if len(instances) > 1:
        raise SetupError(
            f"{len(instances)} instances are rented; say which one: {', '.join(str(i.id) for i in instances)}."
        )
    return instances[0]


def how_to_destroy(left: Left, label: str) -> str:
    """What may be left, and what a person can do about it."""
    named = ", ".join(map(str, left.instances))
    if left.instances and left.certain:
        what = f"Perhaps still rented: {named}, because {left.reason}."
    elif left.instances:
        what = f"Perhaps still rented: {named}, and others labelled {label}, because {left.reason}."
    else:
        what = f"An instance labelled {label} may still be rented, because {left.reason}."
    return f"{what} It costs money until you run `python -m deploy down`, or destroy it by hand at {PAGE}."


def ssh_command(instance: Instance, options: Sequence[str] = ()) -> list[str]:
    """How one gets into an instance, directly where the host opened the port. Raises SetupError."""
    direct = instance.outside(SSH_PORT)
    host, port = (instance.address, direct) if direct and instance.address else (instance.ssh_host, instance.ssh_port)
    if not (host and port):
        raise SetupError(f"Instance {instance.id} has no SSH yet; wait until `python -m deploy status` says running.")
    return ["ssh", *options, "-p", str(port), f"root@{host}"]


def age_h(instance: Instance, now: Callable[[], float]) -> float:
    """Hours since it was rented."""
    return max(0.0, now() - instance.began_s) / 3_600.0 if instance.began_s else 0.0
