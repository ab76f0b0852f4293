# The few commands there are. `make` shows them.
PYTHON ?= python3 python3.13 python3.12 python3.11
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps

.DEFAULT_GOAL := help
.PHONY: help setup run test contracts bench faults soak chaos lint lock env clean
.DELETE_ON_ERROR:

help:  ## show this
	@sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|' 2>/dev/null \
		|| sed -n 's/^\([a-z]*\):.*  ## \(.*\)/  make \1   \2/p' $(MAKEFILE_LIST)

setup: $(STAMPS)/kafka  ## make the environment and fetch Apache Kafka (once; needs Python >= 3.11)

run: setup  ## start everything: Kafka, paper exchange, gateway, worker, sample signals
	@$(BIN)/ordermanager run

test: lint  ## lint, then run every test
	@$(BIN)/pytest --numprocesses 2 --dist loadfile

bench: setup  ## measure against baselines, half an hour; ONLY=name[,name] for some, QUICK=1 to see that they work
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick)

contracts: setup  ## the engine's contract on a live broker: stock Faust beside ours, with a table of what was seen
	@ORDERMANAGER_FAULTS=all $(BIN)/pytest --quiet tests/contracts

faults: setup  ## every fault and contract, the long ones too; SEED=n repeats a run, TABLE=file tells what became of each
	@ORDERMANAGER_FAULTS=all $(if $(SEED),ORDERMANAGER_FAULTS_SEED=$(SEED)) $(BIN)/pytest tests/faults tests/contracts \
		--numprocesses 2 --dist loadfile $(if $(TABLE),--fault-table $(TABLE))

soak: setup  ## the set under load and random faults for S seconds (an hour unless said)
	@ORDERMANAGER_SOAK_S=$(or $(S),3600) $(if $(SEED),ORDERMANAGER_FAULTS_SEED=$(SEED)) $(BIN)/pytest tests/faults/test_soak.py \
		--override-ini log_cli=true --log-cli-level INFO --log-disable httpx

chaos: setup  ## everything that may happen, at random, for S seconds (90 unless said); SEED=n draws the same again
	@PYTHONPATH=.:tests $(BIN)/python tests/chaos/chaos_run.py $(or $(SEED),$$$$) $(or $(S),90)

lint: setup  ## style and types
	@$(BIN)/ruff check .
	@$(BIN)/mypy

lock: setup  ## make the lock files again, with hashes, after a change of pyproject.toml or jgo.toml
	@$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --quiet --output-file requirements.lock
	@$(BIN)/uv pip compile bench/quix.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate --quiet --output-file bench/quix.lock
	@cd app/kafka && ../../$(BIN)/jgo --quiet --resolver python --repo-cache $(CURDIR)/.run/lock lock

env: setup  ## write env.example again, after a change of the settings
	@$(BIN)/python -m app.env_example

clean:  ## remove the environment and all local state (not the cache of downloads)
	rm -rf $(VENV) .run build ./*.egg-info

# What follows runs once; the stamps make the next `make` a matter of milliseconds.

$(STAMPS)/environment:
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || for python in $(PYTHON) none; do \
		[ $$python = none ] && { \
			echo "Python 3.11 or newer is needed; looked at: $(PYTHON). Name another: make PYTHON=/path/to/python"; exit 1; }; \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		$$python -c 'import venv, ensurepip' 2>/dev/null || { \
			echo "$$python cannot make environments: its venv or ensurepip is missing" \
				"(on Debian and Ubuntu: apt install python3-venv)"; exit 1; }; \
		echo "making $(VENV) with $$($$python --version)"; \
		$$python -m venv --clear $(VENV) && break || exit 1; \
	done
	@mkdir -p $(STAMPS) && touch $@

# --no-deps: the lock is complete, and names the versions that pyproject.toml's overrides want, which pip knows nothing of.
$(STAMPS)/requirements: requirements.lock $(STAMPS)/environment
	@echo "installing what requirements.lock names"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	@touch $@

$(STAMPS)/project: pyproject.toml $(STAMPS)/requirements
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMPS)/kafka: app/kafka/jgo.lock.toml $(STAMPS)/project
	@$(BIN)/python -m app.kafka.prepare
	@touch $@
