# Two commands matter: `make demo` and `make test`. Each does all its own set-up.
BIN := .venv/bin
PY_FILES := src tests prove bench tools

.PHONY: demo test test-quick lint format docs bench prove lock clean

demo: .venv/runtime
	@$(BIN)/aimkeeper demo

test: .venv/dev
	$(BIN)/pytest --cov --cov-report=term:skip-covered --cov-report=xml

test-quick: .venv/dev
	$(BIN)/pytest -m "not slow" -q

lint: .venv/dev
	$(BIN)/ruff format --check $(PY_FILES)
	$(BIN)/ruff check $(PY_FILES)
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev
	$(BIN)/ruff format $(PY_FILES)
	$(BIN)/ruff check --fix $(PY_FILES)

docs: .venv/dev
	$(BIN)/python tools/docs.py --check
	$(BIN)/mkdocs build --strict --quiet

bench: .venv/dev
	$(BIN)/python -m bench.steady

prove: .venv/dev
	$(BIN)/python -m prove

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
