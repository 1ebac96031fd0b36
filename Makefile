# Two commands matter: `make demo` and `make test`. Each does all its own set-up.
BIN := .venv/bin
# Tests wait for processes and for the disk more than they compute.
WORKERS := 4
PY_FILES := src tests prove bench tools examples

.PHONY: demo test test-quick cover lint lint-deploy format docs bench bench-long bench-quick prove lock pack release clean

demo: .venv/runtime
	@$(BIN)/aimkeeper demo

test: .venv/dev
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Which lines no test reaches. Apart, for tracing doubles the time.
cover: .venv/dev
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report=term:skip-covered --cov-report=xml

test-quick: .venv/dev
	$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not slow" -q

lint: .venv/dev
	$(BIN)/ruff format --check $(PY_FILES)
	$(BIN)/ruff check $(PY_FILES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	tools/browser.sh check
	tools/actionlint.sh
	$(BIN)/python tools/release.py check

# By linters of others, which are large.
lint-deploy: .venv/dev
	tools/deploy.sh

format: .venv/dev
	$(BIN)/ruff format $(PY_FILES)
	$(BIN)/ruff check --fix $(PY_FILES)

docs: .venv/dev
	$(BIN)/python tools/docs.py --check
	$(BIN)/mkdocs build --strict --quiet

# About an hour, on a machine that does nothing else: what docs/performance.md shows, but for the long ones.
bench: .venv/dev
	$(BIN)/python -m bench.rotations 5 4
	$(BIN)/python -m bench.workers
	$(BIN)/python -m bench.exposure
	$(BIN)/python -m bench.lateness
	$(BIN)/python -m bench.against
	$(BIN)/python -m bench.credentials
	$(BIN)/python -m bench.start
	$(BIN)/python -m bench.bulk
	$(BIN)/python -m bench.adopting
	$(BIN)/python -m bench.memory
	$(BIN)/python -m bench.steady
	$(BIN)/python -m bench.telemetry
	$(BIN)/python -m bench.page

# An hour and a half, and 40 GB of disk.
bench-long: .venv/dev
	$(BIN)/python -m bench.soak
	$(BIN)/python -m bench.adopting 10_000 1_000_000
	$(BIN)/python -m bench.claims 10_000 100_000 1_000_000 5_000_000
	$(BIN)/python -m bench.page

# Minutes; its results do not replace those that are shown.
bench-quick: export BENCH_RESULTS := .bench-quick
bench-quick: .venv/dev
	$(BIN)/python -m bench.rotations 3 2
	$(BIN)/python -m bench.start 3
	$(BIN)/python -m bench.bulk 2_000 1

prove: .venv/dev
	$(BIN)/python -m prove

pack:
	tools/browser.sh pack

# What is published: sdist and wheel in dist/, the browser's package in browser/dist/.
release: .venv/dev pack
	$(BIN)/python tools/release.py build dist

# The pictures of the page in the README and the docs. Look at them before they go in.
screenshots: .venv/dev
	tools/browser.sh setup
	$(BIN)/python tools/screenshots.py

lock: .venv/dev
	tools/lock.sh

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .coverage coverage.xml dist

.venv/runtime: requirements.lock pyproject.toml tools/setup.sh
	@tools/setup.sh requirements.lock
	@touch $@

.venv/dev: requirements-dev.lock pyproject.toml tools/setup.sh
	@tools/setup.sh requirements-dev.lock
	@touch $@ .venv/runtime
