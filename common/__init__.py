"""What every worker needs; nothing here knows a service.

The rooms build on each other in this order: ``logging``, ``config``, ``database``, ``metrics``,
``events``, ``scheduling``, ``worker``, ``cli``. A scheduler needs ``config``, ``database``,
``events`` and ``scheduling``.
"""

from common import lean_imports

lean_imports.load_psycopg()
