# The commands of this repository. `make demo` and `make test` need Go alone.
GO ?= go
BIN := bin/tasuki

.PHONY: build demo test test-interop check bench clean

build: ## the program, into bin/
	$(GO) build -trimpath -ldflags="-s -w" -o $(BIN) ./cmd/tasuki

demo: build ## the whole relay on this machine, narrated
	$(BIN) demo

test: ## every test that needs Go alone
	$(GO) test ./...
	$(MAKE) --no-print-directory -C examples/app test

test-interop: build ## the relay with the AWS CLI, Docker, skopeo and crane; installs them
	./internal/interop/run

check: ## what reviewers need not look for
	./internal/check/run

bench: build ## what the relay costs, in calls and seconds
	$(MAKE) --no-print-directory -C examples/app image VERSION=bench OUT=dist/bench
	$(GO) run ./bench/relay -tasuki $(BIN) -image oci:examples/app/dist/bench

clean:
	rm -rf bin
	$(MAKE) --no-print-directory -C examples/app clean
