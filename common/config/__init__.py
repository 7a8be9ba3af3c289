"""Settings of a service: declared once, read from all sources, checked together.

``config.load`` reads and checks; a scheduler declares its own settings with ``boolean``,
``duration``, ``interval`` and the other kinds, and reads them from ``Settings``.
"""

from common.config.declared.endpoint import METRICS_BIND, METRICS_HOSTS, metrics_port
from common.config.declared.kafka import (
    KAFKA,
    KAFKA_BROKERS,
    KAFKA_SASL_MECHANISM,
    KAFKA_SECURITY_PROTOCOL,
    KAFKA_SSL_CA_LOCATION,
    KAFKA_SSL_ENDPOINT_IDENTIFICATION_ALGORITHM,
    KAFKA_TOPIC_PARTITIONS,
    KAFKA_TOPIC_REPLICATION_FACTOR,
    PUBLISHING,
    TOAST_EVENTS_PER_SECOND,
)
from common.config.declared.page import (
    PAGE,
    WEB_ACTIONS,
    WEB_BEHIND_PROXY,
    WEB_HOSTS,
    WEB_LISTEN,
    WEB_PROXIES,
    WEB_SECRET_FILE,
    WEB_USER_HEADER,
    Listen,
)
from common.config.declared.passes import (
    TOAST_FIRST_PASS,
    TOAST_MIGRATE,
    TOAST_PUNCTUAL,
    TOAST_RETENTION_SHARE,
)
from common.config.declared.postgres import (
    DB_CHANNEL_BINDING,
    DB_HOST,
    DB_NAME,
    DB_PASSWORD,
    DB_PORT,
    DB_SSL_CERT,
    DB_SSL_KEY,
    DB_SSL_KEY_PASSWORD,
    DB_SSL_MODE,
    DB_SSL_ROOT_CERT,
    DB_TARGET_SESSION_ATTRS,
    DB_USER,
    LIBPQS_ROOT_CERT,
    POSTGRES,
    SYSTEM,
)
from common.config.declared.reporting import ENVIRONMENT, LOG_FORMAT, LOG_LEVEL, SENTRY_DSN
from common.config.environment import (
    colours_wanted,
    environment_default,
    failpoint,
    forget_libpq_variables,
    hand_on_notify_socket,
    journal_stream,
    login,
    notify_socket,
)
from common.config.kinds import (
    Need,
    Variable,
    boolean,
    choice,
    days,
    duration,
    integer,
    interval,
    text,
)
from common.config.network_kinds import Network, address, networks
from common.config.outbound import OUTBOUND_CA_FILE, OUTBOUND_PROXY, egress, proxy
from common.config.settings import COMMON, Settings, SettingsError, as_written, files, load
