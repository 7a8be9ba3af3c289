"""Logs: one structured line per record, without secrets.

``logs.logger`` gives a module its logger; ``redaction.redact`` removes secrets from any text;
``throttle`` limits records that repeat.
"""
