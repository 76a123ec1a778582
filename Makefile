# Thin wrappers: `python3 deploy/bootstrap.py COMMAND` does the same where there is no make.
PYTHON ?= python3
BOOTSTRAP = $(PYTHON) deploy/bootstrap.py

.DEFAULT_GOAL := help
.PHONY: help run local deploy-gpu undeploy-gpu deploy avatar setup test machine check bench fetch clean

help: ## Show what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

run: ## Set up, fetch the models, start the double and print its address
	@$(BOOTSTRAP) run

local: ## Be in a call as your double: camera, microphone and ears (ARGS="doctor" looks at the machine)
	@$(BOOTSTRAP) local $(ARGS)

deploy-gpu: ## Rent a GPU, put the double on it and let `make local` know (ARGS="--yes" does not ask)
	@$(BOOTSTRAP) deploy-gpu $(ARGS)

undeploy-gpu: ## Destroy everything that is rented, and prove that nothing is left
	@$(BOOTSTRAP) undeploy-gpu

deploy: ## Look after what is rented: make deploy ARGS="status" (logs, stop, start, ssh, offers, cost, check)
	@$(BOOTSTRAP) deploy $(ARGS)

avatar: ## Make an avatar of a recording for a GPU's face (ARGS="--help" tells how)
	@$(BOOTSTRAP) avatar $(ARGS)

setup: ## Set up the virtual environment only
	@$(BOOTSTRAP) setup

test: ## Set up and run the tests of a machine without a GPU (ARGS="-k name" goes to pytest)
	@$(BOOTSTRAP) test $(ARGS)

machine: ## Rehearse a rented machine: from a clone to a call, twice, and a rental to its end (5 min)
	@$(BOOTSTRAP) machine $(ARGS)

check: ## Check format, lint and types
	@$(BOOTSTRAP) check

bench: ## Run a bench: make bench BENCH=turn
	@$(BOOTSTRAP) bench $(BENCH) $(ARGS)

fetch: ## Fetch weights: make fetch MODELS="embedded tests"
	@$(BOOTSTRAP) fetch $(MODELS)

clean: ## Remove the virtual environment and caches of this checkout; weights stay
	@$(BOOTSTRAP) clean
