"""The version of this program, as it was installed."""

from importlib import metadata


def _version() -> str:
    try:
        return metadata.version("toast-workers")
    except metadata.PackageNotFoundError:
        return "unreleased"  # a checkout that is on the path, but not installed


VERSION = _version()

# What remote sides are told of who calls.
USER_AGENT = f"toast-workers/{VERSION} (+background jobs of ToxicToast)"
