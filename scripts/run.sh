#!/usr/bin/env bash
# Builds the server for trying it out and runs it in dev mode. Prints each step and its time.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'roomful: %s\n' "$*" >&2; }
since() { printf '%d min %02d s' $((($(date +%s) - $1) / 60)) $((($(date +%s) - $1) % 60)); }

target=${CARGO_TARGET_DIR:-target}/try
if [ ! -e "$target/roomful" ]; then
    say "building the server: about 300 crates, 3 to 4 minutes on 2 cores; later builds take seconds"
fi
started=$(date +%s)
${CARGO:-cargo} build --profile try --locked -p roomful --bin roomful
say "built in $(since "$started"); starting it in dev mode: open http://127.0.0.1:3000"
say "for production, build with: cargo build --release -p roomful"
exec "$target/roomful" serve --dev "$@"
