"""Errors that a view answers with: a status, a stable code, a sentence and figures."""

from __future__ import annotations

from collections.abc import Mapping


class ApiError(Exception):
    """Ends a request. The reply is `{"error": {"code", "message", "details"}}` with `status`."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = dict(details or {})
        self.headers = dict(headers or {})


def bad_parameter(name: str, message: str, **figures: object) -> ApiError:
    """400: one parameter breaks a rule; `figures` are what was given and what the limit is."""
    return ApiError(400, "BAD_PARAMETER", f"{name}: {message}", {"parameter": name, **figures})


def not_found(kind: str, name: str) -> ApiError:
    """404: no partition that answered knows it."""
    return ApiError(404, f"{kind.upper()}_NOT_FOUND", f"no {kind} {name}", {kind: name})
