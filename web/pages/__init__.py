"""The pages, in the order of the navigation; each module reads the content of one."""

from web.pages import (
    alerts,
    audit,
    discord_channels,
    dry_run,
    failed,
    machines,
    outbox,
    scheduler,
    schedulers,
    search,
)
from web.pages.page import Page

PAGES = (
    Page("schedulers", "/", schedulers.load, "Schedulers"),
    Page("scheduler", "/schedulers/<service>/<scheduler>", scheduler.load),
    Page("tried", "/schedulers/<service>/<scheduler>/dry-run", dry_run.load),
    Page("search", "/search", search.load),
    Page("outbox", "/outbox", outbox.load, "Outbox"),
    Page("event", "/outbox/<int:number>", outbox.load_event),
    Page("rows", "/rows", failed.load, "Rows set aside"),
    Page("sync_failures", "/sync-failures", failed.load_sync_failures, "Sync failures"),
    Page("discord_channels", "/discord-channels", discord_channels.load, "Discord channels"),
    Page("alerts", "/alerts", alerts.load, "Alerts"),
    Page("machines", "/machines", machines.load, "Machines"),
    Page("audit", "/audit", audit.load, "Audit"),
)
