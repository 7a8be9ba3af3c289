"""Sample rows of foodfolio: variants by their stock, item details by their expiry."""

from devservers.sample_data.source import (
    DAY,
    HOUR,
    MINUTE,
    Row,
    Source,
    ago,
    ahead,
    between,
    of,
    one_in,
    one_of,
    text,
)

FOODS = ("oat milk", "rye bread", "goat cheese", "lentils", "mango", "tofu", "plum jam", "rice")
SIZES = ((250, "g"), (500, "g"), (1, "kg"), (330, "ml"), (1, "l"), (1, "piece"))
PLACES = ("kitchen", "cellar", "garage", "pantry")

# Mostly far ahead or none; one in thirty has passed, one in thirty is within a week.
EXPIRY = one_of(
    ago(MINUTE, 20 * DAY),
    ahead(HOUR, 7 * DAY - HOUR),
    *[ahead(8 * DAY, 500 * DAY)] * 19,
    *[None] * 9,
)


def add_rows(source: Source) -> None:
    """Items, variants and their stock, then shopping lists and receipts."""
    kinds = {
        column: _named(source, table, name)
        for column, table, name in (
            ("category_id", "foodfolio_categories", "groceries"),
            ("company_id", "foodfolio_companies", "corner shop"),
            ("type_id", "foodfolio_types", "food"),
        )
    }
    for _ in range(120):
        _named(source, "foodfolio_items", source.random.choice(FOODS), **kinds)
    for value, unit in SIZES:
        source.add("foodfolio_sizes", name=f"{value} {unit}", value=value, unit=unit)
    for place in PLACES:
        _named(source, "foodfolio_warehouses", place)
    for number in range(1, 21):
        _named(source, "foodfolio_locations", f"shelf {number}")
    _add_variants(source)
    _add_purchases(source, source.rows["foodfolio_item_variants"][:5])


def _named(source: Source, table: str, name: str, **columns: object) -> object:
    """Add a row with a name; returns its id."""
    [row] = source.add(table, name=name, slug=text("slug-{n}"), **columns)
    return row["id"]


def _add_variants(source: Source) -> None:
    """Variants with their minimum, each with its stock."""

    def add(count: int, minimum: object, stock: object, **columns: object) -> None:
        template = _variant(source) | {"min_sku": minimum}
        for row in source.add("foodfolio_item_variants", count, template, **columns):
            _add_details(source, row, source.draw(stock))

    add(9, between(1, 3), 0)  # empty
    add(3, 0, 0)  # empty, without a minimum
    add(14, between(3, 6), between(1, 2))  # low
    for _ in range(90):  # enough, some of them exactly
        minimum = source.draw(between(1, 4))
        add(1, minimum, between(minimum, minimum + 4))
    add(80, 0, between(1, 5))  # no minimum
    add(12, 2, 0, deleted_at=ago(HOUR, 90 * DAY))  # empty, but deleted


def _variant(source: Source) -> dict[str, object]:
    return {
        "item_id": of(source.rows["foodfolio_items"]),
        "size_id": of(source.rows["foodfolio_sizes"]),
        "variant_name": text("{name}"),
        "slug": text("variant-{n}"),
        "barcode": one_in(3, None, text("20{n:011d}")),
        "max_sku": between(10, 30),
        "is_normally_frozen": one_in(6, True, False),
    }


def _add_details(source: Source, variant: Row, stock: int) -> None:
    template = {
        "item_variant_id": variant["id"],
        "warehouse_id": of(source.rows["foodfolio_warehouses"]),
        "location_id": of(source.rows["foodfolio_locations"]),
        "article_number": one_in(2, text("A-{n}"), None),
        "purchase_price": 1.99,
        "purchase_date": ago(91 * DAY, 99 * DAY),
        "expiry_date": EXPIRY,
        "opened_date": None,
        "is_opened": False,
        "has_deposit": one_in(5, True, False),
        "is_frozen": one_in(8, True, False),
    }
    opened = {"is_opened": True, "opened_date": ago(HOUR, 50 * DAY)}
    consumed = {"expiry_date": ago(DAY, 90 * DAY), "deleted_at": ago(HOUR, 80 * DAY)}
    later = ahead(30 * DAY, 300 * DAY)
    table, some = "foodfolio_item_details", one_in(3, 1, 0)
    source.add(table, stock, template)
    # Opened: no stock, but it can still expire. Consumed: no stock, no alert.
    source.add(table, source.draw(some), template, **opened, expiry_date=later)
    source.add(table, source.draw(some), template, **consumed)


def _add_purchases(source: Source, variants: list[Row]) -> None:
    """A shopping list, and a receipt."""
    [wanted] = source.add("foodfolio_shoppinglists", name="saturday")
    [receipt] = source.add(
        "foodfolio_receipts",
        warehouse_id=of(source.rows["foodfolio_warehouses"]),
        scan_date=ago(DAY, 90 * DAY),
        total_price=9.95,
    )
    for variant in variants:
        columns = {"shoppinglist_id": wanted["id"], "item_variant_id": variant["id"]}
        source.add("foodfolio_shoppinglist_items", **columns)
        source.add(
            "foodfolio_receipt_items",
            receipt_id=receipt["id"],
            item_variant_id=variant["id"],
            item_name=variant["variant_name"],
            unit_price=1.99,
            total_price=1.99,
            is_matched=True,
        )
