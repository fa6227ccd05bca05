# Two commands matter: `make run` and `make test`. Both install what is missing first.

BO := target/release/bo
# compute capability of the oldest card that the kernels of `make cuda` run on: 75 = RTX 2060, T4; 80 adds bfloat16
CAP ?= 75
OUT ?= checkpoints/run-$(shell date +%Y%m%d-%H%M%S)

.PHONY: run test check fmt lint docs build setup cuda gpu-pack gpu-check torture numerics deaths doctor advisories fuzz footprint masks

run: build              ## the main job on the built-in weld scenes, into a fresh folder
	$(BO) run --iterations 30 --alpha 0.1 --n-w 3 --out $(OUT)

test: setup             ## the quick tests (under 3 minutes once built)
	cargo test --workspace

check: fmt lint docs test

fmt:
	cargo fmt --all --check

lint: setup
	cargo clippy --workspace --all-targets -- -D warnings

docs: setup
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

build: setup
	cargo build --release --bin bo

cuda: setup             ## target/cuda/release/bo, for NVIDIA GPUs; builds without CUDA here, starts without it anywhere
	cargo fetch --quiet
	cuda/toolkit target/cudatk
	. target/cudatk/env && CUDA_COMPUTE_CAP=$(CAP) CARGO_TARGET_DIR=target/cuda cargo build --release --features cuda --bin bo

gpu-pack: setup         ## what gpu-check runs, for a machine with a GPU that builds nothing: target/gpu-check/programs.tar.xz
	cuda/pack target/gpu-check 80

gpu-check:              ## on that machine: tests, memory, agreement, speed against PyTorch, one table; under 10 minutes
	python3 experiments/gpu/check.py --device cuda:0

setup:
	@./setup

torture: setup          ## kills, system calls, loss of power, damaged bytes, failing disks: about an hour
	BO_TORTURE=1 cargo test -p bo --test torture -- --nocapture --test-threads 1
	BO_TORTURE=1 cargo test -p bo --lib record::mutation -- --nocapture

numerics: setup         ## 100,000 random data sets and 2,000 random spaces through ask/tell; BO_NUMERICS_FROM=N begins at case N
	BO_NUMERICS=$${BO_NUMERICS:-100000} cargo test --release -p bo-bayes --test numerics -- --nocapture
	BO_SPACES=$${BO_SPACES:-2000} cargo test --release -p bo-bayes --test spaces

deaths: setup           ## every kind of death in every phase of an iteration: named and survived
	BO_DEATHS=all cargo test -p bo --test supervise deaths -- --nocapture

doctor: setup           ## the whole of bo doctor, on this machine
	BO_DOCTOR=1 cargo test -p bo --test cli doctor -- --nocapture

advisories:             ## known faults of dependencies; needs cargo-deny or cargo-audit, and the database of RustSec
	@if ! cargo deny --version >/dev/null 2>&1; then :; \
	elif cargo deny fetch db >/dev/null 2>&1; then cargo deny check; exit; \
	else echo "SKIPPED: advisories (the database of RustSec cannot be reached)"; cargo deny check bans licenses sources; exit; fi; \
	if cargo audit --version >/dev/null 2>&1; then cargo audit; \
	else echo "SKIPPED: advisories (cargo install cargo-deny, or cargo-audit); licences, bans and sources: make test"; fi

fuzz:                   ## SECONDS_EACH (60) of fuzzing for every reader; needs nightly and cargo-fuzz
	fuzz/run.sh

footprint: setup        ## predicted memory of three networks against the ledger's measured peak, larger images
	BO_FOOTPRINT_LONG=1 cargo test -p bo-vision --test footprint -- --nocapture

masks: setup            ## 100,000 random masks, orientation fields and votes; time of region growing by pixels
	BO_MASKS=100000 cargo test -p bo-vision --test random_maps -- --nocapture --test-threads 1
