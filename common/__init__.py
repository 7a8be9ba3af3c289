"""What every worker needs, and nothing that knows a service."""

from common import lean_imports

lean_imports.load_psycopg()
