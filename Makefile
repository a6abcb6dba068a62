# Every target needs only git, make and python3 (3.11 or newer) with venv. A second call installs nothing.
PYTHON ?= python3
BIN := .venv/bin
export UV_PYTHON := $(CURDIR)/.venv/bin/python

.PHONY: quickstart test test-fast lowest lint docs setup app clean

# Runs what the repository brings rows of as well: without them in sight.
quickstart: .venv/.installed
	REGBENCH_RESULTS=runs/none $(BIN)/regbench run quickstart
	$(BIN)/regbench rank quickstart
	@echo "Now: $(BIN)/regbench app"

# One process more than there are cores: browsers and runs that are killed wait.
PROCESSES := $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))

test: .venv/.installed-dev
	$(BIN)/python -m pytest -n $(PROCESSES) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# Between two edits: without what takes long.
test-fast: .venv/.installed-dev
	$(BIN)/python -m pytest -m 'not slow' -n $(PROCESSES) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# That the lower bounds in pyproject.toml are facts: the quick tests with the oldest versions they allow.
lowest: .venv/bin/uv
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-lowest
	$(BIN)/uv pip install --quiet --python .venv-lowest --resolution lowest-direct --editable '.[dev]'
	.venv-lowest/bin/python -m pytest -m 'not slow' -W ignore::DeprecationWarning -n $(PROCESSES) --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/pyright

# The site, in site/: static files for any host.
docs: .venv/.installed-docs
	$(BIN)/mkdocs build --strict --quiet

setup: .venv/.installed-dev

app: .venv/.installed
	$(BIN)/regbench app

clean:
	rm -rf .venv .venv-lowest

.venv/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "python 3.11 or newer is needed; try make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv

.venv/.installed: .venv/bin/uv pyproject.toml constraints.txt
	$(BIN)/uv pip install --compile-bytecode --constraint constraints.txt --editable .
	@touch $@

.venv/.installed-dev: .venv/bin/uv pyproject.toml constraints.txt
	$(BIN)/uv pip install --compile-bytecode --constraint constraints.txt --editable '.[dev]'
	@touch $@ .venv/.installed

.venv/.installed-docs: .venv/bin/uv pyproject.toml constraints.txt
	$(BIN)/uv pip install --compile-bytecode --constraint constraints.txt --editable '.[docs]'
	@touch $@ .venv/.installed
