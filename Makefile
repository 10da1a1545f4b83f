# A fresh machine needs python3 (3.11 or later) and make; everything else goes into .venv.
PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin

.PHONY: demo test test-ops-full coverage-ops lint bench bench-ops docs clean

demo: .venv/.with-viz  ## train on handwritten digits, draw the graph
	$(BIN)/python examples/digits.py

test: lint  ## lint, types, then every test
	$(BIN)/python -m pytest -n $(JOBS)

test-ops-full: .venv/.with-test  ## every sample of PyTorch's operator database
	CHAINRULE_OP_SAMPLES=0 $(BIN)/python -m pytest -n $(JOBS) tests/test_opdb.py

coverage-ops: .venv/.with-test  ## run the database and write docs/operators.md
	$(BIN)/python tests/coverage_ops.py --jobs $(JOBS)

lint: .venv/.with-test
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/.with-test  ## small things, whole training steps, transforms: as ratios to PyTorch
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/transforms.py

bench-ops: .venv/.with-test  ## about 70 operators in three sizes, as ratios to PyTorch
	$(BIN)/python benchmarks/operators.py

docs: .venv/.with-docs  ## the site, site/html/index.html; its chapters are run while it is built
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet docs site/html

# One stamp for each set of extras; a change of pyproject.toml makes it stale.
.venv/.with-%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
