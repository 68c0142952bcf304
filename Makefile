# The commands of a checkout. `make demo` and `make test` need Python 3.11+ and nothing else.
PYTHON ?= python3
VENV := .venv/bin
TESTS ?= tests

.PHONY: demo test chaos lint format install clean

demo:  ## the portal with a demo lab on this machine, until Ctrl-C; ONCE=1 ends after the first result
	@$(PYTHON) -I labportal/install.py demo
	@exec $(VENV)/python -m labportal.demo $(if $(ONCE),--once)

install:
	@$(PYTHON) -I labportal/install.py test

test: install lint  ## everything that can be tested on this machine
	@$(VENV)/python -m pytest -n auto --dist loadgroup $(TESTS)

RUNS ?= 2000
SEED ?= 1
chaos: install  ## break every part at every stage, then all at once under RUNS runs; prints the table
	@$(VENV)/python -m tests.chaos --runs $(RUNS) --seed $(SEED)

lint: install
	@$(VENV)/ruff check .
	@$(VENV)/ruff format --check .
	@DATABASE_URL=postgresql:///none SECRET_KEY=none $(VENV)/python manage.py check --fail-level WARNING
	@DATABASE_URL=postgresql:///none SECRET_KEY=none $(VENV)/python -W ignore manage.py makemigrations --check --dry-run

format: install
	@$(VENV)/ruff check --fix .
	@$(VENV)/ruff format .

clean:  ## stop what runs here and remove everything that is not in the repository
	@[ ! -x $(VENV)/python ] || $(VENV)/python -m labportal.demo --stop
	@rm -rf .labportal .venv node_modules staticfiles build dist test-results *.egg-info
	@rm -rf .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
