"""One shape for every error: `{"error": {"code", "message"}}`, whatever went wrong and wherever."""

from __future__ import annotations

import logging
import uuid
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

log = logging.getLogger(__name__)


class ApiError(Exception):
    """A request that can't be answered as asked.

    Args:
        status: the HTTP status.
        code: a stable identifier for programs.
        message: what is wrong and what to do, for a person.
        retry_after: after how many seconds the same request may fare better, when waiting helps.
        fields: further members of the reply beside `error`.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None, **fields: Any) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.status = status
        self.code = code
        self.message = message
        self.fields = fields

    def response(self) -> web.Response:
        body = {"error": {"code": self.code, "message": self.message}, **self.fields}
        headers = None if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        return web.json_response(body, status=self.status, headers=headers)


HTTP_CODES = {
    400: ("bad_request", "The request could not be understood."),
    404: ("not_found", "There is nothing at this address."),
    405: ("method_not_allowed", "This address does not take that method."),
    413: ("too_large", "The request is larger than this server accepts."),
}


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn every failure of a handler into JSON; an unforeseen one is logged under an id that the reply names."""
    try:
        return await handler(request)
    except ApiError as error:
        return error.response()
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code, message = HTTP_CODES.get(error.status, ("http_error", error.reason))
        response = ApiError(error.status, code, message).response()
        if isinstance(error, web.HTTPMethodNotAllowed):
            response.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        return response
    except Exception:
        incident = uuid.uuid4().hex[:12]
        log.exception("request %s %s failed (incident %s)", request.method, request.path, incident)
        message = f"The server made a mistake; its log has the details under {incident}."
        return ApiError(500, "internal_error", message).response()
