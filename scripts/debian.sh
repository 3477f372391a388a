#!/usr/bin/env bash
# Packs the built binary as a Debian package: debian.sh PROFILE FOLDER. Needs cargo-deb.
set -euo pipefail
cd "$(dirname "$0")/.."

# The package has the binary where Debian's own are. cargo-deb reads the unit from here.
mkdir -p target/dist
sed 's#/usr/local/bin/#/usr/bin/#' deploy/systemd/roomful.service >target/dist/roomful.service
trap 'rm target/dist/roomful.service' EXIT
cargo deb -p roomful --no-build --strip --profile "$1" --output "$2"
