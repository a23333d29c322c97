# What a person types. `make demo` and `make test` are all a new user needs.

.PHONY: help setup build build-arm64 test-arm64 demo test e2e wyoming hardware-sim lint fuzz bench truth curves clean

# Nothing here needs a shell that differs from one machine to the next.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "make %-12s %s\n", $$1, $$2 }'

setup: ## install what is missing, fetch models and runtime
	@scripts/setup.sh test

build: ## build bin/fuzzer
	go build -o bin/fuzzer ./cmd/fuzzer

build-arm64: ## build bin/fuzzer-arm64, for a Raspberry Pi, and try it in an emulator
	scripts/build-arm64.sh

test-arm64: ## the same, and have it fuzz a real wake-word model
	scripts/build-arm64.sh test

demo: ## fuzz a real wake-word model and print its false wake words
	@scripts/setup.sh
	go build -o bin/fuzzer ./cmd/fuzzer
	bin/fuzzer run examples/openwakeword-alexa.yaml

test: setup ## pass the tests: a few seconds of fuzzing, then all with the race detector
	scripts/fuzz.sh 3s
	scripts/test.sh

e2e: setup ## as root: campaigns against virtual smart speakers, well and failing, in networks of their own
	scripts/setup-e2e.sh
	go test -tags e2e -count 1 -timeout 10m -parallel 8 ./internal/virtualspeaker/bed
	go test -tags e2e -count 1 -timeout 20m -parallel 16 -v -run Device ./cmd/fuzzer

wyoming: setup ## play to openWakeWord's own Wyoming server, and speak by another, from PyPI
	scripts/setup-wyoming.sh
	go test -tags wyoming -count 1 -timeout 10m -run Real ./oracle/engine/wyoming ./tts/wyoming ./cmd/fuzzer

hardware-sim: ## as root: pin drivers and monitor mode, in emulated machines
	scripts/hardware-sim.sh

lint: ## hold the code to .golangci.yml, import rules included
	go build -C tools -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	bin/golangci-lint run ./...

fuzz: setup ## fuzz every parser for a minute each
	scripts/fuzz.sh 60s

bench: setup ## measure; prints ratios against what runs beside it
	scripts/bench.sh

accuracy: ## measure all detectors on DATA, a folder of public captures, and on made-up traffic
	scripts/accuracy.sh $(DATA)

truth: setup ## play every word of five and six phonemes at real models; takes hours, and goes on where it was
	scripts/truth.sh

curves: ## try every protocol on what make truth found out, and draw what each finds by when
	go run ./scripts/curves -out docs/protocols docs/truth/kal16-alexa.csv docs/truth/awb-alexa.csv docs/truth/kal16-hey_jarvis.csv docs/truth/kal16-whats_the_weather.csv

clean: ## remove what was built; models, clips and campaigns stay
	rm -rf bin coverage.out
