"""The services, in the order of workers.SERVICES."""

import workers

SERVICES = [workers.load(name) for name in workers.SERVICES]
