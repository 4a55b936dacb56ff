"""How an exchange with a worker can fail. A leaf of `upstream`; `gateway.pool.worker` makes ours of them.

UpstreamError
├── ConnectFailed    nothing was sent
├── PeerClosed       the connection ended in the middle
├── ProtocolBroken   what came is not HTTP/1.1 as we accept it
└── Silent           nothing came in time
"""

from __future__ import annotations

from typing import Final


class UpstreamError(Exception):
    """An exchange failed. `answered` says whether any byte of a response had come."""

    def __init__(self, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.answered: Final = answered


class ConnectFailed(UpstreamError):
    """No connection: nothing was sent."""


class PeerClosed(UpstreamError):
    """The peer closed or reset in the middle of the exchange."""


class ProtocolBroken(UpstreamError):
    """The peer does not speak HTTP/1.1 as we accept it."""


class Silent(UpstreamError):
    """The peer sent nothing for the whole of the allowed time."""
