# The commands of this repository. `make demo` and `make test` need Go alone.
GO ?= go
BIN := bin/tasuki

.PHONY: build demo demo-cdk test test-cdk test-interop prove check bench bench-copy bench-provider bench-stacks clean

build: ## the program, into bin/
	$(GO) build -trimpath -ldflags="-s -w" -o $(BIN) ./cmd/tasuki

demo: build ## the whole relay on this machine, narrated
	$(BIN) demo

demo-cdk: ## the relay under CloudFormation, with the CDK CLI, narrated; needs Node
	./internal/stacks/demo

# Most of the time tests wait, as a release waits for SSM: more packages at once than cores.
test: ## every test that needs Go alone
	$(GO) test -p 4 ./...
	$(MAKE) --no-print-directory -C examples/app test

test-cdk: build ## the relay under CloudFormation, with the CDK CLI; installs it, needs Node
	./internal/stacks/run

test-interop: build ## the relay with the AWS CLI, Docker, Podman, skopeo, crane and ko; installs them
	./internal/interop/run

prove: ## every fault, kill and interleaving, not the sample that make test tries
	TASUKI_PROOF_FULL=1 $(GO) test -count=1 -timeout 20m -run 'TestEvery' -v ./internal/proof
	TASUKI_EXPLORE=all $(GO) test -count=1 -timeout 20m -run 'TestExplore$$' -v ./internal/explore
	TASUKI_EXPLORE=two $(GO) test -count=1 -timeout 20m -run 'TestExplore$$' -v ./internal/explore

check: ## what reviewers need not look for
	./internal/check/run

bench: build ## what the relay costs, in calls and seconds
	$(MAKE) --no-print-directory -C examples/app image VERSION=bench OUT=dist/bench
	$(GO) run ./bench/relay -tasuki $(BIN) -image oci:examples/app/dist/bench

bench-copy: build ## copying images, beside crane, regctl, oras, skopeo and cdk-ecr-deployment
	$(GO) run ./bench/copy -tasuki $(BIN)

bench-provider: ## the provider function beside cdk-ecr-deployment's
	$(GO) run ./bench/provider

bench-stacks: build ## stacks of 20 to 200 resources on the local endpoint, beside moto where it is installed
	$(GO) run ./bench/stacks -tasuki $(BIN)

clean:
	rm -rf bin
	$(MAKE) --no-print-directory -C examples/app clean
