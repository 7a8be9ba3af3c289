"""Why no answer came, in words for an operator."""

import http.client
import ssl

from requests.exceptions import InvalidHeader, RequestException

from common.remote.http.name_lookup import NameUnknown


class NoResponse(Exception):
    """No status line of an answer has come; the message is the reason, without the URL."""


class Unsendable(NoResponse):
    """The request itself cannot be written, so nothing was sent: no server is to blame."""


def failure(error: Exception, seconds: float) -> NoResponse:
    """The NoResponse for an error in an exchange that had ``seconds``."""
    is_ours = isinstance(error, UnicodeEncodeError | RequestException)
    return (Unsendable if is_ours else NoResponse)(reason(error, seconds))


def reason(error: Exception, seconds: float) -> str:
    """The reason of an error in an exchange that had ``seconds``."""
    match error:
        case NoResponse() | NameUnknown():
            return str(error)
        case TimeoutError():
            return f"no answer within {seconds:g} s"
        case InvalidHeader() | UnicodeEncodeError():
            return "a header of the request holds what no header may"
        case RequestException():
            return f"the URL cannot be used: {type(error).__name__}"
        case ssl.SSLCertVerificationError():
            return f"the certificate is not valid: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason}"
        case OSError():
            return f"the connection failed: {error.strerror or type(error).__name__}"
        case http.client.HTTPException():
            return f"the answer is not HTTP: {type(error).__name__}"
        case _:
            return type(error).__name__
