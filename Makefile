# `make demo` and `make test` are the two commands; each installs what it needs into .venv first.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SOURCE := $(shell find nmtool passes -name '*.py')
NATIVE := $(shell find runtime -type f)
# machine.py and child.py are what the others share; hardware.py needs a trained model and its data.
BENCHMARKS := $(filter-out benchmarks/machine.py benchmarks/child.py benchmarks/hardware.py,$(wildcard benchmarks/*.py))

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-slow lint types docs dist compat bench clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 8

venv: $(VENV)/installed  ## the virtual environment, with nmtool built and installed in it (editable)

$(VENV)/installed: pyproject.toml constraints.txt $(NATIVE)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: venv  ## inject noise into the digits model, distil a robust one, compare the two: everything lands in demo/
	$(BIN)/python examples/digits/data.py demo/digits.npz demo/digits-train.npz
	$(BIN)/nmtool inject examples/digits/digits.onnx -o demo/noisy.onnx --eta 0.05 --force \
	  --record demo/inject.json
	$(BIN)/nmtool distill examples/digits/digits.onnx --data demo/digits-train.npz -o demo/robust.onnx \
	  --eta 0.1 --recipe robust --epochs 10 --batch-size 32 --force --record demo/distill.json
	rm -f demo/sweep.jsonl
	$(BIN)/nmtool sweep examples/digits/digits.onnx demo/robust.onnx --data demo/digits.npz --eta 0:0.2:0.025 --trials 20 \
	  --force --results demo/sweep.jsonl --csv demo/sweep.csv --plot demo/sweep.svg --plot demo/sweep.png --record demo/sweep.json
	$(BIN)/nmtool report demo -o demo/report.html --title 'A CNN for digits' --force

test: venv lint types docs  ## lint, types, documentation, and all fast tests
	$(BIN)/pytest --numprocesses auto --quiet -m "not slow"

test-slow: venv  ## the tests that take minutes
	$(BIN)/pytest --numprocesses auto --quiet -m slow

lint: venv  ## ruff: rules and format
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: venv build/types  ## mypy --strict, on the package as it is installed, on the example and the benchmarks
	cd build/types && $(CURDIR)/$(BIN)/mypy -p nmtool
	cd examples/digits && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml *.py
	cd benchmarks && MYPYPATH=$(CURDIR)/build/types $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml *.py

# passes/ is nmtool.passes only once installed, and mypy cannot follow an editable install there: give it a copy.
build/types: $(SOURCE) pyproject.toml
	rm -rf $@
	mkdir -p $@/nmtool
	cp -R nmtool/. $@/nmtool
	cp -R passes/. $@/nmtool/passes
	cp pyproject.toml $@

# Its Python reference is read from the copy that mypy reads, without importing it.
docs: venv build/types  ## the documentation site in build/site; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

dist: venv  ## the source archive and a wheel for this machine, in dist/
	$(BIN)/python -m build

compat: venv  ## the tests of the library on old and new versions of onnxruntime (downloads them)
	NMTOOL_OPS_LIBRARY="$$($(BIN)/python -c 'import nmtool; print(nmtool.library_path())')" \
	  PYTHON=$(PYTHON) sh tests/runtime/compat.sh

bench: venv  ## speed, relative to clean onnxruntime
	for script in $(BENCHMARKS); do $(BIN)/python $$script || exit; done

clean:  ## remove everything that was made here
	rm -rf $(VENV) .compat build dist demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
