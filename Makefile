# Sanad: what a newcomer needs is `make demo` and `make test`.

GO      ?= go
BIN     := bin
FUZZTIME ?= 60s
# One way to build for everything but the race detector, so that the dependencies
# are compiled once and not for each of build, vet and test.
export CGO_ENABLED = 0
export GOFLAGS := $(GOFLAGS) -trimpath
# Packages in which goroutines of ours meet; their tests run under the race detector at
# every change. `make test-race RACE=./...` takes all, in half an hour.
RACE ?= ./keys ./audit ./store ./store/once ./issuance ./verification ./internal/web ./api/... ./work ./batchwork

.PHONY: fonts help build web demo test test-go test-race lint bench fuzz vuln screenshots soak soak-batch clean

help:            ## show this list
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*##/ -/'

web:             ## make the scanner page and the pocket page, which verifier and issuer have inside (needs npm)
	@scripts/web.sh

build: web       ## build the programs into bin/
	@mkdir -p $(BIN)
	$(GO) build -o $(BIN)/ ./cmd/...

demo: build      ## set up an issuer, issue from real registers, revoke, check offline
	@scripts/demo.sh

# Tests wait for disks, servers and browsers: lint, and what the race detector needs to compile, fill the pauses.
test: setup-test web build ## everything the project promises
	@$(MAKE) --no-print-directory -j3 test-go test-race lint
	@scripts/demo.sh --quiet
	@scripts/setup-test.sh --verdict

.PHONY: setup-test
setup-test:
	@scripts/setup-test.sh

test-go: # what takes longest begins first; lint has vetted
	$(GO) test -vet=off -p 3 -timeout 20m ./proof ./cmd/issuer ./web/console ./cmd/verifier ./store/... ./issuance ./...

# SQLite is C that was translated to Go. The detector would spend nine tenths of its
# time there, in code of one thread; our own is watched, and so is all that it calls
# of the standard library.
test-race:
	CGO_ENABLED=1 $(GO) test -vet=off -race -gcflags='modernc.org/...=-race=false' -short -timeout 20m $(RACE)

lint:            ## gofmt, go vet, tidy modules, staticcheck
	@scripts/lint.sh

bench:           ## every measure that has a goal, as a table
	$(GO) run ./bench

fonts:           ## make the fonts of printed certificates anew (Debian: fonts-noto-core, python3-fonttools)
	@scripts/fonts.sh

fuzz:            ## every fuzz target for FUZZTIME (default 60s)
	@scripts/fuzz.sh $(FUZZTIME)

vuln:            ## known weaknesses of what is built in; before every release (asks vuln.go.dev)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

screenshots: setup-test web ## pictures of the main pages, made anew into docs/screenshots
	rm -rf docs/screenshots
	SANAD_SCREENSHOTS=$(CURDIR)/docs/screenshots $(GO) test -count=1 -run '^Test(Journey|Pocket|Scanner)$$' ./web/console ./cmd/issuer ./cmd/verifier

soak: setup-test web ## the nightly numbers of the promises (a night); SANAD_SOAK_SCALE=0.1 takes a tenth
	@scripts/soak.sh

soak-batch: setup-test ## a batch of SANAD_PROOF_RECORDS (default 1000000) killed ten times and resumed
	SANAD_PROOF_RECORDS=$${SANAD_PROOF_RECORDS:-1000000} $(GO) test -count=1 -timeout 8h -v -run '^TestBatchOfMillion$$' ./proof

clean:           ## remove what the other targets made
	rm -rf $(BIN) demo bench/out
