# What a developer, a demonstration and the continuous integration call. Needs Python 3.11+ with its venv module.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LOCKS := requirements/runtime.txt requirements/dev.txt
WORKERS ?= 2        # processes that run the tests; 0: this one

.DEFAULT_GOAL := help
.PHONY: help setup browser demo test screenshots lint format docs bench bundles lock clean

help:  ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

setup: $(STAMP)  ## Make .venv with everything that is needed

$(STAMP): $(LOCKS) pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "qianzhi needs Python 3.11 or later; say which one by: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "This Python has no venv module. On Debian: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: setup  ## Play a hospital's day; Ctrl-C ends it
	$(BIN)/qianzhi demo

browser:  ## Have a Chromium for the tests of pages, and a Chinese font for what it draws
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
		{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update --quiet=2 && \
			DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --no-install-recommends chromium fonts-noto-cjk \
			>/dev/null; } || \
		{ echo "The tests of pages need Chromium. On Debian: apt-get install chromium fonts-noto-cjk" >&2; exit 1; }

test: setup browser  ## Run the whole suite
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not bench"

screenshots: setup browser  ## Renew the pictures of the console in docs/images
	QIANZHI_SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/gateway/pages/test_pictures.py tests/gateway/pages/test_results.py

lint: setup  ## Check style, types and borders
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## Write the code the way lint wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: setup  ## Write the reference out of the product itself
	$(BIN)/python docs/generate.py

bench: setup  ## Measure everything; takes long, and room for millions of rows in the temporary folder
	$(BIN)/qianzhi bench all

bundles: setup  ## Collect the wheels of every platform that is served, and so see that there are all
	$(BIN)/qianzhi bundle --platform manylinux_x86_64 --output dist/manylinux_x86_64
	$(BIN)/qianzhi bundle --platform manylinux_aarch64 --output dist/manylinux_aarch64
	$(BIN)/qianzhi bundle --platform win_amd64 --output dist/win_amd64

lock:  ## Compile the locks anew (needs uv)
	uv pip compile pyproject.toml $(LOCK_OPTIONS) -o requirements/runtime.txt
	uv pip compile pyproject.toml $(LOCK_OPTIONS) --extra dev -c requirements/runtime.txt -o requirements/dev.txt

LOCK_OPTIONS := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" --quiet

clean:  ## Remove what the other targets made
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
