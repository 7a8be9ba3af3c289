"""A COMMIT whose reply is lost: the server has done it, and the worker cannot know."""

from devservers.child_processes import PATIENCE
from devservers.tcp_proxy import TcpProxy
from testing.arena import Arena
from tests.chaos.campaign import Campaign, Figures, Limit, Round
from tests.chaos.stage import NOTHING_LOST, staged
from workers.blog import post_publisher
from workers.link import link_expiration
from workers.twitchbot import message_cleanup, stream_closer
from workers.warcraft import character_sync

# Whose passes are many, each with a statement that changes rows and commits.
STATEMENTS = (
    (link_expiration.SCHEDULER, b"UPDATE link_links"),
    (post_publisher.SCHEDULER, b"UPDATE blog_posts"),
    (stream_closer.SCHEDULER, b"UPDATE twitchbot_streams"),
    (message_cleanup.SCHEDULER, b"DELETE FROM twitchbot_messages"),
    (character_sync.SCHEDULER, b"COMMIT"),
)
# And what any of them sends besides.
BOOKKEEPING = (b"INSERT INTO toast_runs", b"DELETE FROM toast_outbox")

# In 50 rounds a thousand: those of character-sync have too few rows for that, and are over sooner.
REPLIES_A_ROUND = 24
ROWS_APART = 60.0


def play(arena: Arena, current: Round) -> Figures:
    """Lose some replies of one scheduler's database, while its rows become due."""
    scheduler, statement = STATEMENTS[current.number % len(STATEMENTS)]
    replies = int(current.size(REPLIES_A_ROUND, 4))
    besides = BOOKKEEPING if scheduler.topics else BOOKKEEPING[:1]
    with (
        TcpProxy(arena.postgres.port) as proxy,
        staged(arena, scheduler, replies * 20, apart=ROWS_APART, DB_PORT=str(proxy.port)) as stage,
    ):
        lost = 0
        with stage.worker() as worker:
            worker.wait_for("scheduler_started")
            for number in range(replies):
                if not stage.workload.undone():
                    break
                text = statement if number % 2 else current.dice.choice(besides)
                lost += proxy.lose_answer_to(text).wait(PATIENCE if number % 2 else 5)
            stage.workload.wait(PATIENCE)
        return {**stage.judge(), "replies lost": lost}


CAMPAIGN = Campaign(
    name="lost-commit",
    promise="a COMMIT whose reply is lost changes nothing twice",
    faults="the reply to 1,000 statements swallowed after the commit",
    limits=(Limit("replies lost", least=1), *NOTHING_LOST, Limit("duplicates")),
    play=play,
    rounds=50,
    small_rounds=2,
)
