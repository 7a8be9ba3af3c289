"""Sample rows of foodfolio: variants by their stock, item details by their expiry."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from devservers.sample_data.source import DAY, HOUR, MINUTE, Row, Source

FOODS = ("oat milk", "rye bread", "goat cheese", "lentils", "mango", "tofu", "plum jam", "rice")
SIZES = ((250, "g"), (500, "g"), (1, "kg"), (330, "ml"), (1, "l"), (1, "piece"))
PLACES = ("kitchen", "cellar", "garage", "pantry")


@dataclass(frozen=True, slots=True)
class _Shelves:
    """The rows that variants and details refer to."""

    items: list[Row]
    sizes: list[Row]
    warehouses: list[Row]
    locations: list[Row]


def rows(source: Source) -> Iterator[Row]:
    """Items, locations, sizes, receipts and shopping lists."""
    category = _named(source, "foodfolio_categories", "groceries", parent_id=None)
    company = _named(source, "foodfolio_companies", "corner shop")
    kind = _named(source, "foodfolio_types", "food")
    kinds = {"category_id": category.id, "company_id": company.id, "type_id": kind.id}
    shelves = _Shelves(
        items=[
            _named(source, "foodfolio_items", source.one_of(FOODS), **kinds) for _ in range(120)
        ],
        sizes=[_size(source, value, unit) for value, unit in SIZES],
        warehouses=[_named(source, "foodfolio_warehouses", place) for place in PLACES],
        locations=[
            _named(source, "foodfolio_locations", f"shelf {n}", parent_id=None)
            for n in range(1, 21)
        ],
    )
    yield from (category, company, kind)
    for group in (shelves.items, shelves.sizes, shelves.warehouses, shelves.locations):
        yield from group
    variants: list[Row] = []
    details: list[Row] = []
    for variant, stock in _variants(source, shelves):
        variants.append(variant)
        details += _details(source, shelves, variant, stock)
    yield from (*variants, *details)
    yield from _shopping_list(source, variants)
    yield from _receipt(source, shelves, variants)


def _named(source: Source, table: str, name: str, **columns: object) -> Row:
    slug = f"{name.replace(' ', '-')}-{source.number()}"
    return _row(source, table, name=name, slug=slug, **columns)


def _size(source: Source, value: int, unit: str) -> Row:
    return _row(source, "foodfolio_sizes", name=f"{value} {unit}", value=value, unit=unit)


def _row(source: Source, table: str, **columns: object) -> Row:
    times = source.times(source.ago(400 * DAY, 900 * DAY))
    return Row(table, {"id": source.id(), **columns, **times})


def _shopping_list(source: Source, variants: list[Row]) -> Iterator[Row]:
    wanted = _row(source, "foodfolio_shoppinglists", name="saturday")
    yield wanted
    for variant in variants[:5]:
        columns = {"shoppinglist_id": wanted.id, "item_variant_id": variant.id}
        yield _row(source, "foodfolio_shoppinglist_items", **columns)


def _receipt(source: Source, shelves: _Shelves, variants: list[Row]) -> Iterator[Row]:
    receipt = _row(
        source,
        "foodfolio_receipts",
        warehouse_id=source.one_of(shelves.warehouses).id,
        scan_date=source.ago(DAY, 90 * DAY),
        total_price=9.95,
        image_path="",
        ocr_text="",
    )
    yield receipt
    for variant in variants[:5]:
        yield _row(
            source,
            "foodfolio_receipt_items",
            receipt_id=receipt.id,
            item_variant_id=variant.id,
            item_name=variant.values["variant_name"],
            unit_price=1.99,
            total_price=1.99,
            article_number=None,
            is_matched=True,
        )


def _variants(source: Source, shelves: _Shelves) -> Iterator[tuple[Row, int]]:
    """Each variant with its stock."""
    for _ in range(9):  # empty
        yield _variant(source, shelves, min_sku=source.between(1, 3)), 0
    for _ in range(3):  # empty, without a minimum
        yield _variant(source, shelves, min_sku=0), 0
    for _ in range(14):  # low
        yield _variant(source, shelves, min_sku=source.between(3, 6)), source.between(1, 2)
    for _ in range(90):  # enough, some of them exactly
        minimum = source.between(1, 4)
        yield _variant(source, shelves, minimum), minimum + source.between(0, 4)
    for _ in range(80):  # no minimum
        yield _variant(source, shelves, min_sku=0), source.between(1, 5)
    for _ in range(12):  # empty, but deleted
        yield _variant(source, shelves, min_sku=2, deleted=source.ago(HOUR, 90 * DAY)), 0


def _variant(
    source: Source, shelves: _Shelves, min_sku: int, deleted: datetime | None = None
) -> Row:
    number, item = source.number(), source.one_of(shelves.items)
    values: dict[str, object] = {
        "id": source.id(),
        "item_id": item.id,
        "size_id": source.one_of(shelves.sizes).id,
        "variant_name": f"{source.name()} {item.values['name']}",
        "slug": f"variant-{number}",
        "barcode": f"20{number:011d}" if number % 3 else None,
        "min_sku": min_sku,
        "max_sku": min_sku + source.between(5, 20),
        "is_normally_frozen": source.between(1, 6) == 1,
    }
    created = source.ago(100 * DAY, 390 * DAY)
    return Row("foodfolio_item_variants", values | source.times(created, deleted))


def _details(source: Source, shelves: _Shelves, variant: Row, stock: int) -> Iterator[Row]:
    for _ in range(stock):
        yield _detail(source, shelves, variant, _expiry(source))
    if source.between(1, 3) == 1:  # opened: no stock, but it can still expire
        opened = source.ago(HOUR, 50 * DAY)
        yield _detail(source, shelves, variant, source.ahead(30 * DAY, 300 * DAY), opened=opened)
    if source.between(1, 3) == 1:  # consumed: no stock, no alert
        consumed = source.ago(HOUR, 80 * DAY)
        yield _detail(source, shelves, variant, source.ago(DAY, 90 * DAY), deleted=consumed)


def _expiry(source: Source) -> datetime | None:
    """Mostly far ahead or none; one in thirty has passed, one in thirty is within a week."""
    chance = source.between(1, 30)
    if chance == 1:
        return source.ago(MINUTE, 20 * DAY)
    if chance == 2:
        return source.ahead(HOUR, 7 * DAY - HOUR)
    return source.ahead(8 * DAY, 500 * DAY) if chance < 22 else None


def _detail(
    source: Source,
    shelves: _Shelves,
    variant: Row,
    expires: datetime | None,
    *,
    opened: datetime | None = None,
    deleted: datetime | None = None,
) -> Row:
    bought = source.ago(91 * DAY, 99 * DAY)
    values: dict[str, object] = {
        "id": source.id(),
        "item_variant_id": variant.id,
        "warehouse_id": source.one_of(shelves.warehouses).id,
        "location_id": source.one_of(shelves.locations).id,
        "article_number": f"A-{source.number()}" if source.between(1, 2) == 1 else None,
        "purchase_price": source.between(49, 1999) / 100,
        "purchase_date": bought,
        "expiry_date": expires,
        "opened_date": opened,
        "is_opened": opened is not None,
        "has_deposit": source.between(1, 5) == 1,
        "is_frozen": source.between(1, 8) == 1,
    }
    return Row("foodfolio_item_details", values | source.times(bought, deleted))
