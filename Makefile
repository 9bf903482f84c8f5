# `make` lists what there is. Everything runs in .venv, which the first command creates.
HOST ?= 127.0.0.1
PORT ?= 8000
PYTHON ?= python3
# More processes than cores: many tests wait for servers, browsers and files.
PYTEST_ARGS ?= -n 4
# Slow tests start and kill whole installations, and take as long as all others.
SELECT = $(if $(SLOW),,-m "not slow")
BIN := .venv/bin
# The checks need an https address (else Django rightly complains) and leave the operator's data alone.
CHECK_ENV = NVR_DATA_DIR=$$scratch NVR_PUBLIC_URL=https://nvr.example.org NVR_DEBUG= DATABASE_URL=sqlite://:memory: REDIS_URL= CELERY_BROKER_URL=
MANAGE_CHECK = $(CHECK_ENV) $(BIN)/python manage.py

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run demo test check format bench lock upgrade

help: ## list the commands
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: ## prepare .venv and ffmpeg, start nothing
	@PYTHON="$(PYTHON)" requirements/install run

setup-dev: ## prepare also what tests and checks need
	@PYTHON="$(PYTHON)" requirements/install dev

run: setup ## start everything (HOST=0.0.0.0 PORT=8123)
	@exec $(BIN)/python manage.py up --host "$(HOST)" --port "$(PORT)"

demo: setup ## start everything with cameras that show generated pictures
	@exec $(BIN)/python manage.py up --host "$(HOST)" --port "$(PORT)" --demo

# The tests start some hundred processes: without compiled modules each would spend most of its start on compiling.
test: setup-dev ## run the tests (SLOW=1: all of them; PYTEST_ARGS="-n 0 tests/start")
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest $(PYTEST_ARGS) $(SELECT)

check: setup-dev ## format, lint, types, layers, deployment, migrations, templates
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	.ci/terms
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && set -ex && \
	    $(MANAGE_CHECK) check --deploy --fail-level WARNING && \
	    $(MANAGE_CHECK) makemigrations --check --dry-run
	find templates -name '*.html' -exec $(BIN)/djhtml --check {} +

format: setup-dev ## format code and templates
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	find templates -name '*.html' -exec $(BIN)/djhtml {} +

bench: setup-dev ## measure against the peers, side by side
	@requirements/install bench
	@$(BIN)/pytest tests/benchmarks -n 0 -s -o python_files='bench_*.py test_*.py' -m ''

lock: setup ## compile the pinned requirements from pyproject.toml
	@requirements/lock

upgrade: setup ## the same, with newer versions
	@requirements/lock --upgrade
