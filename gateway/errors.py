"""Every way a request can be refused or fail, and how each is answered.

    GatewayError
    ├── InvalidRequest        400 invalid_request_error
    │   ├── UnsupportedMedia  415
    │   ├── BodyTooLarge      413 request_too_large
    │   ├── HeadersTooLarge   431 headers_too_large
    │   └── RegistryFaulty    400 registry_refused
    ├── InvalidApiKey         401 invalid_api_key
    ├── PermissionRefused     403 permission
    ├── NotFound              404
    │   ├── ModelNotFound     404 model_not_found
    │   └── RequestNotFound   404 request_not_found
    ├── MethodNotAllowed      405
    ├── QueueFull             429 queue_full            + Retry-After
    ├── NotImplementedHere    501 unsupported_path
    ├── WorkerFailed          502 worker_failed
    │   ├── WorkerUnreachable 502                         nothing was sent: any other worker may try
    │   └── WorkerBusy        503 no_worker               it said 429/503: any other worker may try
    │       └── AdapterMissing 503 adapter_loading        it does not hold what it should: tried once more
    ├── Unavailable           503                       + Retry-After
    │   ├── ModelLoading      503 model_loading
    │   ├── AdapterLoading    503 adapter_loading
    │   ├── NoWorker          503 no_worker
    │   ├── QueueTimeout      503 queue_timeout
    │   └── ShuttingDown      503 shutting_down
    ├── TimedOut              504
    │   ├── FirstTokenTimeout 504 first_token_timeout
    │   ├── AnswerTimeout     504 answer_timeout
    │   ├── IdleTimeout       504 idle_timeout
    │   └── TotalTimeout      504 total_timeout
    ├── EngineRefused         the engine's own 4xx, in our shape
    ├── OrderRefused          the supervisor's refusal (`api.adapters`); DiskFull, 507; AdapterNotLoaded, 502 (`pool`)
    └── ClientGone            499, never sent to anyone

An error carries its own answer (status, type, code, param, headers). `middleware.door`, `api.refusals` (FastAPI's own)
and `protocol` (what is no request yet) write it whole; `operations` spells it for the middle of a stream.
"""

from __future__ import annotations

import math
from typing import ClassVar, Final

import msgspec

_LONGEST_WAIT: Final = 3600.0  # seconds that a client is asked to wait, at most: a worker's header may say anything


class GatewayError(Exception):
    """A failure that knows its answer. `str(error)` is the sentence the client reads."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: ClassVar[str | None] = None

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.param: Final = param
        self.retry_after: Final = retry_after
        """Seconds after which it is worth to try again; None: no promise."""

    @property
    def answered_status(self) -> int:
        """The HTTP status of the answer."""
        return self.status

    def body(self) -> bytes:
        """The OpenAI error envelope, as JSON."""
        error = {"message": str(self), "type": self.type, "param": self.param, "code": self.code}
        return msgspec.json.encode({"error": error})

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Headers that belong to the answer besides its content's."""
        if self.retry_after is None:
            return []
        return [(b"retry-after", b"%d" % max(1, math.ceil(min(self.retry_after, _LONGEST_WAIT))))]


class InvalidRequest(GatewayError):
    """The client's request cannot be right, whoever answers it."""

    status = 400
    type = "invalid_request_error"


class UnsupportedMedia(InvalidRequest):
    """The body is not JSON by its own content type, or is compressed."""

    status = 415


class BodyTooLarge(InvalidRequest):
    """The body is longer than the gateway reads."""

    status = 413
    code = "request_too_large"


class HeadersTooLarge(InvalidRequest):
    """More or longer headers than anybody needs."""

    status = 431
    code = "headers_too_large"


class RegistryFaulty(InvalidRequest):
    """The registry file that was to be reloaded has faults; the message says all of them."""

    code = "registry_refused"


class InvalidApiKey(GatewayError):
    """No key, or none that we know."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [*super().headers(), (b"www-authenticate", b"Bearer")]


class PermissionRefused(GatewayError):
    """A good key for something else, or a caller from where nobody may administer."""

    status = 403
    type = "permission_error"
    code = "permission"


class NotFound(GatewayError):
    """No such route."""

    status = 404
    type = "invalid_request_error"
    code = "not_found"


class ModelNotFound(NotFound):
    """The name stands for nothing in the present snapshot."""

    code = "model_not_found"


class RequestNotFound(NotFound):
    """No request of that id is remembered here."""

    code = "request_not_found"


class MethodNotAllowed(GatewayError):
    """The route exists, for other methods."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"

    def __init__(self, message: str, *, allow: str) -> None:
        super().__init__(message)
        self.allow: Final = allow

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [*super().headers(), (b"allow", self.allow.encode())]


class QueueFull(GatewayError):
    """As many requests wait for this pool as may; this one was shed."""

    status = 429
    type = "rate_limit_error"
    code = "queue_full"


class NotImplementedHere(GatewayError):
    """The model's engine does not serve this path."""

    status = 501
    type = "invalid_request_error"
    code = "unsupported_path"


class WorkerFailed(GatewayError):
    """A worker broke off, or answered what cannot be an answer."""

    status = 502
    code = "worker_failed"


class WorkerUnreachable(WorkerFailed):
    """No byte of the request reached the worker."""


class WorkerBusy(WorkerFailed):
    """The worker itself refused for now (429, 503)."""

    status = 503
    code = "no_worker"

    def headers(self) -> list[tuple[bytes, bytes]]:
        return super().headers() or [(b"retry-after", b"1")]  # a 503 always says when to come back


class AdapterMissing(WorkerBusy):
    """The worker does not know the adapter that the snapshot says it holds: nothing was generated."""

    code = "adapter_loading"


class Unavailable(GatewayError):
    """Nobody can answer at this moment."""

    status = 503


class ModelLoading(Unavailable):
    """The pool is being prepared for the first time."""

    code = "model_loading"


class AdapterLoading(Unavailable):
    """No worker holds the adapter yet."""

    code = "adapter_loading"


class NoWorker(Unavailable):
    """The pool has no worker that can serve."""

    code = "no_worker"


class QueueTimeout(Unavailable):
    """The request waited its full time for a worker."""

    code = "queue_timeout"


class ShuttingDown(Unavailable):
    """The gateway is draining and its deadline has come."""

    code = "shutting_down"


class TimedOut(GatewayError):
    """A worker took longer than the model's limits allow."""

    status = 504
    type = "timeout_error"


class FirstTokenTimeout(TimedOut):
    """The stream did not begin in time."""

    code = "first_token_timeout"


class AnswerTimeout(TimedOut):
    """The answer was not complete in time."""

    code = "answer_timeout"


class IdleTimeout(TimedOut):
    """The stream stood still too long."""

    code = "idle_timeout"


class TotalTimeout(TimedOut):
    """The model's limit on whole requests passed."""

    code = "total_timeout"


class EngineRefused(GatewayError):
    """The engine's own 4xx: its sentence, once, in our envelope. Log and metrics get our words, not the engine's."""

    type = "invalid_request_error"

    def __init__(self, status: int, message: str, kind: str, param: str | None, code: str | None) -> None:
        super().__init__(message, param=param)
        self._status: Final = status
        self._said: Final = {"message": message, "type": kind, "param": param, "code": code}

    @property
    def answered_status(self) -> int:
        return self._status

    def body(self) -> bytes:
        return msgspec.json.encode({"error": self._said})


class ClientGone(GatewayError):
    """The client left. Counted and logged as 499; there is nobody to answer."""

    status = 499
    code = "client_gone"
