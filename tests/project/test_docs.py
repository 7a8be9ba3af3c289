"""The documents: a short README, links and paths that lead to something."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import workers
from devservers.checkout import ROOT
from tests.project.test_repository import files

MOST_BYTES_OF_README = 6 * 1024
MOST_LINES_OF_GLOSSARY = 40

DOCUMENTS = [path.relative_to(ROOT) for path in files() if path.suffix == ".md"]
FOLDERS = {path.relative_to(ROOT).parts[0] for path in files() if path.parent != ROOT}

BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PATH = re.compile(r"`((?:\.?\w[\w.-]*/)+[\w.-]*)`")

every_document = pytest.mark.parametrize("document", DOCUMENTS, ids=str)


def prose(document: Path) -> str:
    """The text of a document without its code blocks."""
    return BLOCK.sub("", (ROOT / document).read_text("utf-8"))


def anchors(document: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = HEADING.findall(prose(document))
    return {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_bytes()) <= MOST_BYTES_OF_README


def test_the_glossary_is_short() -> None:
    lines = (ROOT / "docs" / "glossary.md").read_text("utf-8").splitlines()
    assert len(lines) <= MOST_LINES_OF_GLOSSARY


def test_the_glossary_is_in_alphabetical_order() -> None:
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs" / "glossary.md").read_text("utf-8"), re.M)
    terms = [row.replace("-", " ").casefold() for row in rows[2:]]
    assert terms == sorted(terms)


def test_the_readme_says_where_to_switch_on_what_is_off_by_default() -> None:
    paragraphs = prose(Path("README.md")).replace("\n", " ")
    services = [workers.load(name) for name in workers.SERVICES]
    off = [
        (each, service.name)
        for service in services
        for each in service.schedulers
        if each.enabled.default == "false"
    ]
    assert off
    for scheduler, service in off:
        where = (
            f"{scheduler.enabled.name}=true`) only where the live {service} service does not run"
        )
        assert f"{scheduler.name} is off by default. Turn it on (`{where}" in paragraphs


@every_document
def test_every_link_to_a_file_leads_to_it_and_to_its_heading(document: Path) -> None:
    assert list(_broken_links(document)) == []


def _broken_links(document: Path) -> Iterator[str]:
    for link in LINK.findall(prose(document)):
        if re.match(r"[a-z]+:", link):
            continue  # to another host
        name, _, anchor = link.partition("#")
        target = (ROOT / document.parent / name).resolve() if name else ROOT / document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


@every_document
def test_every_path_into_the_checkout_exists(document: Path) -> None:
    named = [path for path in PATH.findall(prose(document)) if path.split("/")[0] in FOLDERS]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_page_of_docs_is_linked_from_the_readme() -> None:
    linked = set(LINK.findall(prose(Path("README.md"))))
    assert {path.as_posix() for path in DOCUMENTS if path.parts[0] == "docs"} <= linked
