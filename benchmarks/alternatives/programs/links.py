"""Expiring links with SQLAlchemy objects, by the unit of work of its documentation.

A page of objects is changed and committed, which sends one UPDATE for all of them; its events are
sent after the commit.
"""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime

from sqlalchemy import URL, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from .messages import Deliveries, expired, print_report

PAGE = 1_000


class Base(DeclarativeBase):
    pass


class Link(Base):
    """Only the columns that a pass needs; more would cost more."""

    __tablename__ = "link_links"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    short_code: Mapped[str]
    expires_at: Mapped[datetime]  # which every due link has
    is_active: Mapped[bool]
    updated_at: Mapped[datetime]
    deleted_at: Mapped[datetime | None]


engine = create_engine(
    URL.create(
        "postgresql+psycopg",
        username=os.environ["DB_USER"],
        password=os.environ["DB_PASSWORD"],
        host=os.environ["DB_HOST"],
        port=int(os.environ["DB_PORT"]),
        database=os.environ["DB_NAME"],
    )
)


def expire_links() -> None:
    """One pass: all due links, page after page."""
    started, rows, now = time.perf_counter(), 0, datetime.now(UTC)
    deliveries = Deliveries()
    due = (
        select(Link)
        .where(Link.is_active, Link.deleted_at.is_(None), Link.expires_at <= now)
        .limit(PAGE)
    )
    with Session(engine) as session:
        while links := session.scalars(due).all():
            # Before the commit, which expires the objects: each would be read again.
            events = [expired(link.id, link.short_code, link.expires_at, now) for link in links]
            for link in links:
                link.is_active = False
                link.updated_at = now
            session.commit()
            for event in events:
                deliveries.send(*event)
            rows += len(links)
    deliveries.flush()
    print_report(started, rows, deliveries.delivered)
