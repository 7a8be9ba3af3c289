"""The settings of all passes, and of the tables that they need."""

from common.config.kinds import boolean, choice, share

TOAST_FIRST_PASS = choice(
    "TOAST_FIRST_PASS",
    ("go", "ask"),
    "go",
    "what the first pass ever of a scheduler does that finds more than 1,000 rows due: "
    "go on, or wait for `toast takeover`",
)
TOAST_RETENTION_SHARE = share(
    "TOAST_RETENTION_SHARE",
    "0.33",
    "the part of the time that the deletion of many old rows may use, so that others hardly notice "
    "it; 1: as fast as possible",
)
TOAST_PUNCTUAL = boolean(
    "TOAST_PUNCTUAL",
    "true",
    "run a pass also when the next row is due, not only at the intervals",
)
TOAST_MIGRATE = boolean("TOAST_MIGRATE", "true", "apply the migrations of toast's tables at start")

PASSES = (TOAST_FIRST_PASS, TOAST_RETENTION_SHARE, TOAST_PUNCTUAL, TOAST_MIGRATE)
