"""A PostgreSQL session, direct or through a connection pooler.

A direct connection gets the settings of common/database/session_settings.py at its start. A pooler
gives a server session to another client after each transaction: settings at the start of a
connection have no effect there, and later ones would remain for the next client. So behind a pooler
every statement runs in a transaction that first sets them for itself.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from typing import Any, Self

import psycopg
from psycopg.rows import DictRow, dict_row

from common.database import session_settings

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED, {access}, NOT DEFERRABLE"

# True if the server session is not the one that the connection was opened to. Settings made there
# are for the statement only.
_IS_POOLED = "pg_backend_pid() <> %(pid)s"

_TRY_LOCK = "SELECT pg_try_advisory_lock{kind}(hashtextextended(%s, 0)) AS locked"
_UNLOCK = "SELECT pg_advisory_unlock{kind}(hashtextextended(%s, 0))"


# Parameters of the server, such as ``lock_timeout``, and their values.
Settings = Mapping[str, str]

# For code that only executes statements.
Connection = psycopg.Connection[DictRow]


class _Cursor(psycopg.Cursor[Any]):
    def execute(self, *arguments: Any, **keywords: Any) -> Self:
        with self.connection.statement():  # type: ignore[attr-defined]
            return super().execute(*arguments, **keywords)


class Session(psycopg.Connection[DictRow]):
    """A connection in autocommit mode; rows are dicts. ``is_pooled``: a pooler is between.

    Its errors hold only the server's message: the details may quote a whole row with its secrets.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.is_pooled = False
        self._settings: dict[str, str] = {}
        self._in_transaction = False
        self._is_held = False
        self._has_savepoint = False

    @classmethod
    def open(cls, parameters: Mapping[str, Any], *, settings_refused: bool) -> Self:
        """Connect; ``settings_refused`` if a pooler is known to refuse settings at the start.

        Raises psycopg.OperationalError.
        """
        start = session_settings.at_start(session_settings.PINNED)
        options = {} if settings_refused else {"options": start}
        opened = cls.connect(
            **parameters,
            **options,
            autocommit=True,
            context=session_settings.ADAPTERS,
            row_factory=dict_row,
            cursor_factory=_Cursor,
            # Prepare on request only: a prepared statement may be planned without its parameters,
            # and the cost of a ctid range depends on their values.
            prepare_threshold=2**31,
        )
        with ExitStack() as unsettled:
            unsettled.callback(opened.close)
            opened._settle(settings_refused)
            unsettled.pop_all()
        return opened

    def wait(self, *arguments: Any, **keywords: Any) -> Any:
        try:
            return super().wait(*arguments, **keywords)
        except psycopg.Error as error:
            if error.diag.message_primary:
                error.args = (error.diag.message_primary,)
            raise

    @contextmanager
    def begin(self, settings: Settings | None = None, *, read_only: bool = False) -> Iterator[None]:
        """Run the block in one transaction; ``settings`` of the server apply to it only."""
        begin = _BEGIN.format(access="READ ONLY" if read_only else "READ WRITE")
        if self._is_held:  # a transaction is open already
            self._command(session_settings.for_transaction(settings or {}))
        else:
            self._command(f"{begin}; {self._first_settings(settings)}")
        self._in_transaction, self._has_savepoint, is_done = True, False, False
        try:
            yield
            is_done = True
        finally:
            if not is_done:
                with suppress(psycopg.Error):
                    self._end("ROLLBACK")
        self._end("COMMIT")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo the block if the server refuses a statement of it; for short transactions.

        The savepoint is left to the end of the transaction: to release it is one more message.
        """
        if not self._has_savepoint:
            self._command("SAVEPOINT trial")
        try:
            yield
        except psycopg.Error:
            if self.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
                # Not by execute: at a ROLLBACK, psycopg forgets what it has prepared.
                self.pgconn.exec_(b"ROLLBACK TO trial")
                self._has_savepoint = True  # it is still there
            raise

    @contextmanager
    def limited(self, settings: Settings) -> Iterator[None]:
        """Apply ``settings`` of the server to each statement of the block.

        Cheaper than a transaction for each, and an error loses no prepared statement.
        """
        before = self._settings
        self._settings = {**before, **settings}
        self._apply(settings, "; ".join(f"SET {name} = '{settings[name]}'" for name in settings))
        try:
            yield
        finally:
            self._settings = before
            if not self.closed:
                old = {name: before[name] for name in settings}
                self._apply(old, "; ".join(f"RESET {name}" for name in settings))

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep the same server session for the block, also through a pooler.

        A pooler takes a session back when no transaction is open, so each transaction is chained
        to the next. If this process dies, the pooler ends the session.
        """
        if not self.is_pooled or self._is_held:
            yield
            return
        self._is_held = True
        self._command(f"{_BEGIN.format(access='READ WRITE')}; {self._first_settings()}")
        try:
            yield
        finally:
            self._is_held = False
            if not self.closed:
                self._command("COMMIT")

    @contextmanager
    def try_lock(self, name: str, *, shared: bool = False) -> Iterator[bool]:
        """Take the advisory lock of this name for the block; yields False if it is taken.

        Any number of sessions may have it ``shared``, while none has it alone.
        The session that does the block's work holds it: if the lock is lost, so is the session.
        """
        kind = "_shared" if shared else ""
        with self.hold():
            [row] = self.execute(_TRY_LOCK.format(kind=kind), (name,))
            is_ours = bool(row["locked"])
            try:
                yield is_ours
            finally:
                if is_ours and not self.closed:
                    self.execute(_UNLOCK.format(kind=kind), (name,))

    def storable(self, text: str) -> str:
        """The text with characters escaped that the database's encoding lacks."""
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
        encoding = self.server_encoding.lower()
        if encoding in ("utf8", "sql_ascii"):
            return text.encode("utf-8", "backslashreplace").decode()
        try:
            return text.encode(encoding, "backslashreplace").decode(encoding)
        except LookupError:  # Python does not know PostgreSQL's name
            return text.encode("ascii", "backslashreplace").decode()

    def statement(self) -> AbstractContextManager[None]:
        """The context of a single statement: its own transaction if a pooler is between."""
        self._has_savepoint = False
        if self.is_pooled and not self._in_transaction:
            return self.begin()
        return nullcontext()

    @property
    def is_between_transactions(self) -> bool:
        """True if a statement would neither join the transaction of others nor fail with them."""
        states = psycopg.pq.TransactionStatus
        idle = states.INTRANS if self._is_held else states.IDLE
        return not self._in_transaction and self.info.transaction_status == idle

    @property
    def server_encoding(self) -> str:
        """PostgreSQL's name of the encoding of this database."""
        return self.info.parameter_status("server_encoding") or "UTF8"

    def _settle(self, settings_refused: bool) -> None:
        """Detect a pooler, and set what could not be set at the start."""
        late = session_settings.late(self.info.server_version, self.server_encoding)
        self._settings = {**session_settings.PINNED, **late}
        calls = (f"set_config('{name}', '{value}', {_IS_POOLED})" for name, value in late.items())
        statement = f"SELECT {_IS_POOLED} AS is_pooled, {', '.join(calls)}"
        [row] = self.execute(statement, {"pid": self.info.backend_pid})
        self.is_pooled = settings_refused or bool(row["is_pooled"])
        if self.is_pooled:
            self.prepare_threshold = None  # another session would not know the statement
        if self.server_encoding == session_settings.SQL_ASCII:
            for name in session_settings.TEXT_TYPES:
                self.adapters.register_loader(name, session_settings.AnyText)

    def _first_settings(self, more: Settings | None = None) -> str:
        """The SQL that a transaction begins with."""
        settings = dict(self._settings) if self.is_pooled else {}
        if self._is_held:
            # It holds no snapshot between two statements, so it does not block vacuum.
            settings["idle_in_transaction_session_timeout"] = "0"
        return session_settings.for_transaction({**settings, **(more or {})})

    def _apply(self, settings: Settings, to_session: str) -> None:
        """Apply changed settings now, unless the next BEGIN will."""
        if self._is_held:
            self._command(session_settings.for_transaction(settings))
        elif not self.is_pooled:
            self._command(to_session)

    def _end(self, word: str) -> None:
        self._in_transaction = False
        chain = f" AND CHAIN; {self._first_settings()}" if self._is_held else ""
        # A deferred constraint must fail while its transaction can still be rolled back.
        before = "SET CONSTRAINTS ALL IMMEDIATE; " if chain and word == "COMMIT" else ""
        try:
            self._command(f"{before}{word}{chain}")
        except psycopg.Error:
            if self.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
                self._command(f"ROLLBACK{chain}")
            raise

    def _command(self, sql: str) -> None:
        if sql:
            psycopg.Cursor(self).execute(sql.encode())
