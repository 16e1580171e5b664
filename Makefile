# Vigie: build it, run it, prove it.

GO ?= go
FUZZTIME ?= 1m
SOAK ?= 20m
RATE ?= 200

# Tests that read the corpus (RFC documents, torture messages, schemas) carry
# the build tag "corpus" and fail without it; a clone without the corpus runs
# everything else.
TAGS := $(if $(VIGIE_CORPUS),-tags corpus)

.PHONY: all build run test packages corpus lint bench figures plots soak fuzz generate clean

all: build

build:
	$(GO) build -o bin/vigie ./cmd/vigie

run: build
	bin/vigie serve

test: packages corpus
	$(GO) test -race -shuffle=on -timeout 20m $(TAGS) ./...
	$(GO) -C scripts/figures test -shuffle=on ./...

# What the race detector and the peers of the tests need, installed when missing.
packages:
	@scripts/packages scripts/packages.txt $(wildcard interop/packages.txt)

corpus:
ifeq ($(VIGIE_CORPUS),)
	@echo "===================================================================="
	@echo "VIGIE_CORPUS is not set: the corpus tests (torture messages, RFC"
	@echo "documents and schemas) are LEFT OUT. Set it to the corpus' directory."
	@echo "===================================================================="
endif

lint:
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt these:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags corpus,soak ./...
	$(GO) tool staticcheck ./...
	$(GO) tool staticcheck -tags corpus,soak ./...
	$(GO) -C scripts/figures vet ./...
	@cd scripts/figures && $$($(GO) -C ../.. tool -n staticcheck) ./...

# Benchmarks as one table; scripts/bench says what can be chosen.
bench:
	@GO=$(GO) scripts/bench

# The data of the plots, and the plots, from what make bench measured last; NOTE
# says on which machine and what else it did.
figures:
	@[ -n "$(NOTE)" ] || { echo 'make figures NOTE="machine and circumstances"'; exit 1; }
	$(GO) -C scripts/figures run . collect $(CURDIR)/bin/bench.txt ../../docs/performance "$(NOTE)"
	@$(MAKE) plots

# The pictures of docs/performance.md, from the figures committed beside them.
plots:
	$(GO) -C scripts/figures run . plots ../../docs/performance

# A busy enterprise for SOAK, with RATE changes of state a second.
soak:
	VIGIE_SOAK=$(SOAK) VIGIE_SOAK_RATE=$(RATE) $(GO) test -tags soak -run TestSoak -timeout 48h -v ./interop

fuzz:
	@scripts/fuzz $(FUZZTIME)

# Files made from the code; committed, and unchanged by a second run.
generate: build
	bin/vigie config > docs/vigie.toml

clean:
	rm -rf bin
