"""What is shown instead of a page: that it is not there, may not be seen, or has failed."""

from flask import Flask, Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException, InternalServerError

from common.cli import output
from common.logging import logs

_log = logs.logger(__name__)

_TEXTS = {
    401: "Log in with a link: run `toast web link` on the machine of the page, as root.",
    404: "There is no such page.",
    405: "The address is for a form, not for a page.",
    413: "The form is too large.",
    500: "The page has failed; the log has the reason.",
}


def install(app: Flask) -> None:
    """Show every error in the look of the page."""
    app.register_error_handler(HTTPException, _refused)
    app.register_error_handler(Exception, _failed)


def response(app: Flask, code: int, reason: str) -> Response:
    """The response to a request that is so wrong that the application cannot get it."""
    with app.test_request_context():
        return app.process_response(_response(code, reason, ""))


def _refused(error: HTTPException) -> Response:
    code = error.code or InternalServerError.code
    # What abort() was given; else Werkzeug's words, which are for developers.
    own = error.description if error.description != type(error).description else None
    answer = _response(code, error.name, own or _TEXTS.get(code, ""))
    answer.headers.extend(
        (name, value) for name, value in error.get_headers() if name != "Content-Type"
    )
    return answer


def _failed(error: Exception) -> Response:
    _log.exception("request_failed", method=request.method, path=request.path)
    return _refused(InternalServerError())


def _response(code: int, name: str, text: str) -> Response:
    if request.path.startswith("/api/"):
        answer = make_response(output.as_json({"error": text or name}), code)
        answer.mimetype = "application/json"
        return answer
    return make_response(render_template("error.html", title=name, text=text), code)
