# Caches lie outside the checkout: $SLIPWAY_CACHE, else ~/.cache/slipway.
export SLIPWAY_CACHE ?= $(HOME)/.cache/slipway
export CARGO_TARGET_DIR ?= $(SLIPWAY_CACHE)/build
CLUSTER := $(SLIPWAY_CACHE)/bin/slipway-cluster
LEVEL ?= full
.DEFAULT_GOAL := help
.PHONY: help setup demo test bench lint fmt cluster-up cluster-demo cluster-down images generate forms clean-cache

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install and build what the other targets need; skips what is there
	@scripts/setup.sh

demo: ## take a real model through the whole road on this machine, no cluster needed
	@scripts/demo.sh

test: ## set up and run every test, the ones on a real Kubernetes included
	@scripts/test.sh

bench: ## measure what the docs claim, each beside its peer
	@scripts/bench.sh

lint: ## check formatting, lints, and the licences of what is linked
	@scripts/lint.sh

fmt: ## format all sources
	cargo fmt --all && gofmt -w tests/cluster

cluster-up: setup ## boot a real Kubernetes and leave it running (LEVEL=api, node or full)
	@$(CLUSTER) up --detach --name dev --level $(LEVEL)

cluster-demo: ## the same, with Slipway in it and examples/digits served and asked
	@scripts/cluster-demo.sh

cluster-down: ## end it without a trace
	@if [ -x $(CLUSTER) ]; then $(CLUSTER) down --name dev; else echo "no cluster was ever booted here"; fi

images: setup ## build the static programs and pack them as image archives in the cache
	@scripts/images.sh

generate: ## write the files that are generated from the types
	cargo run --quiet -p slipway-api --features crd --example crd > crds/.new.tmp && mv crds/.new.tmp crds/slipway.dev_modeldeployments.yaml && cp crds/slipway.dev_modeldeployments.yaml charts/slipway/files/
	cargo run --quiet -p slipway-api --features crd --example reference > docs/.new.tmp && mv docs/.new.tmp docs/fields.md

forms: setup ## write the forms of operators that rten computes as ONNX says, from cases drawn anew
	$(SLIPWAY_CACHE)/venv-oracle/bin/python crates/server/tests/forms/cases.py versions crates/server/src/backend/rten/versions.txt
	$(SLIPWAY_CACHE)/venv-oracle/bin/python crates/server/tests/forms/cases.py drawn $(SLIPWAY_CACHE)/cases.jsonl --samples 36
	SLIPWAY_WRITE_FORMS=1 SLIPWAY_CASES_DRAWN=$(SLIPWAY_CACHE)/cases.jsonl cargo test --release --locked -p slipway-server --lib forms_of_the_table

clean-cache: cluster-down ## remove everything that was built or downloaded into the cache
	rm -rf -- $(SLIPWAY_CACHE)
