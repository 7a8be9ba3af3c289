PYTHON ?= python3
VENV := .venv
INSTALLED := $(VENV)/.installed
# Two for each core: tests wait for other processes more than they compute.
TESTS_AT_ONCE = $(shell expr $$(getconf _NPROCESSORS_ONLN) \* 2)
AT_ONCE = --numprocesses $(TESTS_AT_ONCE) --dist worksteal
# What depends on the database most: the schedulers, their outbox and its tables.
SCHEDULER_TESTS = $(addprefix tests/,promises/test_schedulers.py promises/test_odd_tables.py \
	common/scheduling/test_batched_change.py common/scheduling/test_alerts.py \
	common/database/test_failed_rows.py common/database/test_migrations.py \
	common/events/test_publisher.py common/events/test_outbox.py common/cli/test_check.py \
	workers/notification/test_notification_retry.py workers/webhook/test_webhook_delivery.py \
	workers/warcraft/test_character_sync.py workers/warcraft/test_guild_sync.py)
VERSIONS = 15 16
WORLDS = hostile pooler

.DEFAULT_GOAL := help
.PHONY: help venv run check test lint test-postgres test-worlds test-vm chaos soak bench bench-watch \
	screenshot install uninstall generate lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(INSTALLED) ## Create .venv with the project installed, `toast` in .venv/bin
	@:

run: $(INSTALLED) ## Run all eight workers until Ctrl-C; ONCE=1 ends after the first round
	@$(VENV)/bin/python -m demo $(if $(filter-out 0,$(ONCE)),--once)

check: lint ## Run lint, types and the tests that need no server: in less than a minute
	@$(VENV)/bin/python -m pytest $(AT_ONCE) -m 'not servers' --quiet

test: lint ## Run everything: lint, strict types, tests
	@$(VENV)/bin/python -m pytest $(AT_ONCE)

lint: $(INSTALLED) ## Run ruff, mypy and import-linter only
	@$(VENV)/bin/ruff check --quiet
	@$(VENV)/bin/ruff format --check --quiet || \
		{ echo "Not formatted: run $(VENV)/bin/ruff format"; exit 1; }
	@$(VENV)/bin/mypy --no-error-summary
	@report=$$($(VENV)/bin/lint-imports --no-logo --cache-dir .cache/import-linter 2>&1) || { echo "$$report"; exit 1; }

test-postgres: $(INSTALLED) ## Test the schedulers on older versions of PostgreSQL; VERSIONS="15 16"
	@for version in $(VERSIONS); do echo "PostgreSQL $$version"; TEST_POSTGRES_VERSION=$$version \
		$(VENV)/bin/python -m pytest $(AT_ONCE) $(SCHEDULER_TESTS) || exit 1; done

test-worlds: $(INSTALLED) ## Test the schedulers with hostile settings and behind PgBouncer; WORLDS="hostile pooler"
	@for world in $(WORLDS); do echo "In the world: $$world"; TEST_WORLD=$$world \
		$(VENV)/bin/python -m pytest $(AT_ONCE) $(filter-out %check.py,$(SCHEDULER_TESTS)) || exit 1; done

test-vm: $(INSTALLED) ## Install on a booted Debian in a container, and try it there
	@$(VENV)/bin/python -m pytest --timeout 900 tests/project/vm_checks.py

chaos: $(INSTALLED) ## Play the fault campaigns at full size; CAMPAIGN=name, SEED=n, ROUNDS=n for less
	@GRPC_ENABLE_FORK_SUPPORT=false $(VENV)/bin/python -m tests.chaos $(CAMPAIGN) --write \
		$(if $(SEED),--seed $(SEED)) $(if $(ROUNDS),--rounds $(ROUNDS))

soak: $(INSTALLED) ## Run all workers under a fault a second for two minutes
	@SOAK_SECONDS=120 $(VENV)/bin/python -m pytest tests/promises/test_chaos.py -k soak

bench: $(INSTALLED) ## Measure the workers beside the least that their work can cost; BENCH=group, RUNS=n
	@GRPC_ENABLE_FORK_SUPPORT=false $(VENV)/bin/python -m benchmarks $(BENCH) --write \
		$(if $(RUNS),--runs $(RUNS))

bench-watch: $(INSTALLED) ## Try the alternatives; fail if the workers have become half as fast
	@$(VENV)/bin/python -m pytest tests/project/alternatives_checks.py
	@GRPC_ENABLE_FORK_SUPPORT=false $(VENV)/bin/python -m benchmarks --watch

screenshot: $(INSTALLED) ## Take the picture of the front page in docs/
	@$(VENV)/bin/python -m demo.screenshot

generate: $(INSTALLED) ## Write the tables, roles, units, completion and manual that follow from the code
	@$(VENV)/bin/python -m generate

install: ## As root: put the workers on this machine, or a newer release of them
	@deploy/install.sh install

uninstall: ## As root: take them away again, but for settings and data
	@deploy/install.sh uninstall

lock: ## Write requirements.lock and constraints.txt anew, with the newest releases that setup.cfg allows
	@deploy/lock.sh

clean: ## Remove what these targets have made, .venv included
	@rm -rf $(VENV) .cache .run .hypothesis .mypy_cache .pytest_cache .ruff_cache build dist *.egg-info
	@find . -name __pycache__ -prune -exec rm -rf {} +

# The stamp is touched last: an installation that was cut short is taken up again.
$(INSTALLED): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Needs Python 3.11 or newer as '$(PYTHON)': make PYTHON=/path/to/python3.11 ..."; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Needs Python's venv module (on Debian: apt install python3-venv)"; exit 1; }
	@echo "Installing into $(VENV) ..."
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv --clear $(VENV)
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt \
		--editable '.[dev,web]'
	@touch $@
