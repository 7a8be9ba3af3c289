"""PostgreSQL: connections and sessions, the classes of errors, and our own tables.

``connection.Database`` opens a ``session.Session`` with a deadline on every wait;
``table_access.TableAccess`` declares what a scheduler does with a table; ``failed_rows`` sets rows
aside that cannot be changed; ``migrations`` creates the ``toast_`` tables.
"""
