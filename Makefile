# Two commands set everything up on a fresh machine with Python 3.11 or newer: make demo, make test.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PYTEST_ARGS ?=

.PHONY: mutants planted setup bench bench-page bench-peers bench-short demo test proof faults check fix words lock clean

setup: $(VENV)/.ready

# Pins with hashes first, then twokey itself without looking for anything more.
$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "twokey needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup
	@$(BIN)/twokey demo

test: setup
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PYTEST_ARGS)

FIGURES := docs/why/figures/trials.json
PROMISES := tests/faults tests/attacks tests/providers/test_fuzz.py

# The promises of docs/why/trust.md, tried as often as CI does, and the page's figures made anew.
proof: setup
	rm -f $(FIGURES)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(PROMISES) --proof-file=$(FIGURES) $(PYTEST_ARGS)
	$(BIN)/python tools/trust_page.py

# The same with the counts of a release: hours. It ends with the table of promises, trials and outcomes. A run that
# was cut off goes on where it was, for the same commit. Most tests wait for processes: three share two cores.
RELEASE := build/trials-$(shell git rev-parse --short HEAD 2>/dev/null || echo release).json

faults: setup
	$(BIN)/python -m pytest -n 3 --dist load --maxschedchunk 1 $(PROMISES) --proof=release --timeout=0 \
		--proof-file=$(RELEASE) --proof-resume $(PYTEST_ARGS)

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python tools/structure.py
	$(BIN)/python tools/compile_words.py --check
	$(BIN)/python tools/trust_page.py --check

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

words: setup
	$(BIN)/python tools/compile_words.py

lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-emit-find-links --extra dev --output-file requirements.lock pyproject.toml tools/build.in

# benchmarks/README.md says what is measured beside what
bench: setup
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/page.py

bench-short: setup
	$(BIN)/python benchmarks/run.py --short

bench-page: setup
	$(BIN)/python benchmarks/page.py

bench-peers:
	$(PYTHON) -m venv benchmarks/.peers
	benchmarks/.peers/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt

# ten minutes on two cores; docs/why/mutants.md argues what survives
mutants: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r tools/mutants.txt
	$(BIN)/mutmut run
	$(BIN)/mutmut results

# known mistakes, one by one: the suites must turn red for each
planted: setup
	$(BIN)/python tools/plant_regressions.py

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
