"""The version of this program; setup.cfg reads it from here."""

VERSION = "0.1.0"

# Sent with every HTTP request.
USER_AGENT = f"toast-workers/{VERSION} (+background jobs of ToxicToast)"
