# make demo [RAW=DIR] [OUT=DIR] [TRIALS=N]   the whole path on real ECGs: prepare, search, report
# make test                                  checks and tests;  make test-all adds the slow suites
# make docs                                  the documentation as a site: build/site/index.html
# make secrets                               what docker-compose.yml needs: a password, .env, folders
# make image-test                            build the image (docker, podman or buildah) and try it
PYTHON ?= python3
OUT ?= demo-output
TRIALS ?= 56
BIN := .venv/bin
# Packages are compiled when first imported; where that may not be kept, every process pays seconds.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-all image-test secrets check docs format clean

.venv/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), f"ecgscale needs Python 3.11 or newer; {sys.executable} is {sys.version.split()[0]}. Try: make PYTHON=python3.12"'
	$(PYTHON) -m venv .venv

.venv/.runtime: .venv/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/.dev: .venv/.runtime
	$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e ".[dev,docs]"
	@touch $@

demo: .venv/.runtime
	$(BIN)/ecgscale demo --out $(OUT) --trials $(TRIALS) $(if $(RAW),--raw $(RAW))

check: .venv/.dev docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# Not --quiet, which silences the strictness, too. Hooks need the root on the path; the variable
# silences an advertisement.
docs: .venv/.dev
	NO_MKDOCS_2_WARNING=1 PYTHONPATH=. $(BIN)/mkdocs build --strict

test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not gpu"

test-all: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

secrets:
	mkdir -p -m 700 secrets reports stores && chmod 777 reports stores
	test -e .env || echo "COMPOSE_PROFILES=$$(nvidia-smi -L >/dev/null 2>&1 && echo gpu || echo cpu)" > .env
	test -s secrets/database-password || (umask 077; $(PYTHON) -c 'import secrets; print(secrets.token_hex(24))' > secrets/database-password)
	chmod 444 secrets/database-password # another user reads it in the container; the folder is closed

image-test:
	tests/image_smoke.sh

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build dist *.egg-info
