"""The version of this program, from which setup.cfg has it."""

VERSION = "0.1.0"

# What remote sides are told of who calls.
USER_AGENT = f"toast-workers/{VERSION} (+background jobs of ToxicToast)"
