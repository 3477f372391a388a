#!/usr/bin/env bash
# Fuzzes each target of fuzz/ for FUZZ_SECONDS, or the one that TARGET names. New inputs stay in fuzz/corpus,
# an input that fails in fuzz/artifacts.
set -euo pipefail
cd "$(dirname "$0")/.."
if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "fuzz: nightly Rust or cargo-fuzz is missing. Install them:" >&2
    echo "rustup toolchain install nightly; cargo install cargo-fuzz" >&2
    exit 1
fi
# The servers under test keep their data in memory: no parser is faster for a sync of the disk.
if [ -d /dev/shm ]; then export TMPDIR=/dev/shm; fi
failed=""
for target in ${TARGET:-$(cargo +nightly fuzz list)}; do
    echo "fuzz: $target for ${FUZZ_SECONDS:-600} s"
    mkdir -p "fuzz/corpus/$target"
    cargo +nightly fuzz run "$target" "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="${FUZZ_SECONDS:-600}" -timeout=60 -rss_limit_mb=4096 -print_final_stats=1 ||
        failed+=" $target"
done
if [ -n "$failed" ]; then
    echo "fuzz: these targets failed:$failed" >&2
    exit 1
fi
