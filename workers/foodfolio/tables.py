"""The live tables of foodfolio: the columns that its schedulers use."""

from common.database import BIGINT, BOOLEAN, TEXT, TIME, UUID, Table

DETAILS = Table(
    "foodfolio_item_details",
    {
        "id": UUID,
        "item_variant_id": UUID,
        "expiry_date": TIME,
        "opened_date": TIME,
        "is_opened": BOOLEAN,
        "deleted_at": TIME,
    },
)
VARIANTS = Table(
    "foodfolio_item_variants",
    {"id": UUID, "item_id": UUID, "variant_name": TEXT, "min_sku": BIGINT, "deleted_at": TIME},
)
