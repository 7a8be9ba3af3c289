"""The live tables of link: the columns that its schedulers use."""

from common.database import BOOLEAN, TEXT, TIME, UUID, Table

LINKS = Table(
    "link_links",
    {
        "id": UUID,
        "short_code": TEXT,
        "expires_at": TIME,
        "is_active": BOOLEAN,
        "updated_at": TIME,
        "deleted_at": TIME,
    },
)
