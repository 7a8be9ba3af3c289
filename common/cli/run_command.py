"""`toast run`: the worker of one service."""

import argparse

from common.cli.services import Services
from common.worker import worker_process


def run(services: Services, options: argparse.Namespace) -> int:
    """Run the worker until it is stopped; returns its exit code."""
    return worker_process.main(services.named(options.service))
