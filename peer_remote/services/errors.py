"""What keeps the services of a machine from being started."""


class ServicesError(Exception):
    """The message is one sentence for a person that says what to do."""
