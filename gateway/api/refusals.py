"""FastAPI's own refusals (unknown routes, wrong methods, bad parameters) in the one envelope."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from gateway.errors import GatewayError, InvalidRequest, MethodNotAllowed, NotFound


def install(api: FastAPI) -> None:
    """Make every error that leaves a route ours."""
    api.add_exception_handler(GatewayError, _ours)
    api.add_exception_handler(HTTPException, _starlettes)
    api.add_exception_handler(RequestValidationError, _fastapis)
    api.add_exception_handler(Exception, _bugs)


async def _ours(request: Request, error: Exception) -> Response:
    if not isinstance(error, GatewayError):
        return _respond(request, GatewayError("The gateway failed."))
    return _respond(request, error)


async def _starlettes(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 500)
    method, path = request.scope["method"], request.scope["path"][:200]
    if status == 405:
        allow = (getattr(error, "headers", None) or {}).get("Allow", "GET")
        return _respond(request, MethodNotAllowed(f"{path} does not take {method}.", allow=allow))
    return _respond(request, NotFound(f"Unknown route: {method} {path}"))


async def _fastapis(request: Request, error: Exception) -> Response:
    faults: list[dict[str, Any]] = getattr(error, "errors", list)()
    param = str(faults[0]["loc"][-1]) if faults else None
    message = faults[0]["msg"] if faults else "The request is not valid."
    return _respond(request, InvalidRequest(message, param=param))


async def _bugs(request: Request, _: Exception) -> Response:
    return _respond(request, GatewayError("The gateway failed. Its log has this request's id."))


def _respond(request: Request, error: GatewayError) -> Response:
    request.scope["exchange"].code = error.code or error.type
    headers = {name.decode(): value.decode() for name, value in error.headers()}
    return Response(error.body(), error.answered_status, headers, "application/json")
