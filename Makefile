# `make demo` sets up .venv and runs the main job. `make test` sets up .venv and runs all checks.
# A stamp file records the installation, so a second run skips it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test lint quick sanitize newer lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    serve the Flask demo app and show which hops would hold its stream (about a minute)"
	@echo "make test    check style and types, run every test, and the quick tests on newer Pythons"
	@echo "make lint    check style and types"
	@echo "make quick   run the quick tests"
	@echo "make sanitize  run the tests of the C with AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make newer   run the quick tests on each newer Python of this machine"
	@echo "make lock    update requirements.lock (needs uv)"
	@echo "make clean   remove environments, caches and build output"

$(STAMP): requirements.lock pyproject.toml setup.py middleware/streamproof/adapters/_counting.c
	@echo "Setting up $(VENV) (about half a minute, only once)."
	@rm -f middleware/streamproof/adapters/_counting.*.so # an earlier build's name would be imported first
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --editable .
	@touch $@

demo: $(STAMP)
	@echo "Serves the Flask demo app with gunicorn, reads its stream, and replays it behind the usual hops."
	@$(BIN)/streamproof check demo_apps.flask_stream:app /stream
	@echo
	@echo "Next: $(BIN)/streamproof check demo_apps.fastapi_llm:app '/search?ai_prompt=the+river' -X POST"
	@echo "      $(BIN)/streamproof proxy 8000 --via gae-standard    (in front of your own server on port 8000)"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

quick: $(STAMP)
	$(BIN)/python -m pytest -q -m "not servers and not proxies and not browser"

sanitize: $(STAMP)
	@sh .ci/sanitize

newer: $(STAMP)
	@sh .ci/newer-pythons

test: $(STAMP) lint
	$(BIN)/python -m pytest
	@$(MAKE) --no-print-directory sanitize newer

lock:
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
		--group dev --extra all --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build middleware/*.egg-info
	rm -f middleware/streamproof/adapters/*.so
