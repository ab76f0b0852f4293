"""What can go wrong around the local broker, each with what to do about it in its sentence.

KafkaError
├── JavaMissing         no usable Java on this machine
├── JarsMissing         the broker's jars could not be fetched, or are not what the lock says
├── PortTaken           somebody else listens where the broker should
├── AlreadyRunning      this directory's broker runs already
└── BrokerFailed        it ended, or did not answer in time; the last lines of its log are in the sentence
"""

from __future__ import annotations

from domain.errors import OrderManagerError


class KafkaError(OrderManagerError):
    """Base of everything below: the local broker cannot be had as asked."""


class JavaMissing(KafkaError):  # noqa: N818 -- the words name these well without a suffix, as in domain.errors
    """No Java of at least `java.MIN_VERSION` where we were told to look."""


class JarsMissing(KafkaError):  # noqa: N818 -- as above
    """A jar could not be fetched, or its content is not what the lock file says."""


class PortTaken(KafkaError):  # noqa: N818 -- as above
    """The broker's or the controller's port is in use."""


class AlreadyRunning(KafkaError):  # noqa: N818 -- as above
    """A broker runs on this directory already: two would destroy each other's data."""


class BrokerFailed(KafkaError):  # noqa: N818 -- as above
    """The broker ended before it was ready, or was not ready in time."""
