"""Where each page is."""

from web.pages import PAGES


def places(
    event: int, row: object, service: str = "link", scheduler: str = "link-expiration"
) -> dict[str, str]:
    """The path of each page, by its name: of this scheduler, of the event of this number, and of a
    search for this id."""
    one = f"/schedulers/{service}/{scheduler}"
    of_others = {
        "scheduler": one,
        "tried": f"{one}/dry-run",
        "search": f"/search?q={row}",
        "event": f"/outbox/{event}",
    }
    return {page.name: of_others.get(page.name, page.rule) for page in PAGES}
