#!/usr/bin/env bash
# Checks that the fuzz targets compile: they are in a workspace of their own, so clippy does not see them.
set -euo pipefail
cd "$(dirname "$0")/.."

# Without libFuzzer, which is C++ and which only a run needs.
CUSTOM_LIBFUZZER_PATH=none/libnone.a RUSTFLAGS="--cfg fuzzing" ${CARGO:-cargo} check --quiet --locked \
    --manifest-path fuzz/Cargo.toml --bins --target-dir target/fuzz-check
