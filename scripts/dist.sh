#!/usr/bin/env bash
# Builds what a release consists of, in target/dist: the binary, a Debian package, npm and Python packages, an
# SBOM, and checksums. PROFILE=dev packs the debug build, to try this script.
set -euo pipefail
cd "$(dirname "$0")/.."

profile=${PROFILE:-release}
built=${CARGO_TARGET_DIR:-target}/${profile/#dev/debug}
dist=$PWD/target/dist
version=$(node -p 'JSON.parse(require("fs").readFileSync("packages/roomful/package.json")).version')
target=$(rustc -vV | sed -n 's/^host: //p')
say() { printf 'dist: %s\n' "$*" >&2; }

rm -rf "$dist"
mkdir -p "$dist/npm" "$dist/python"

say "the binary, profile $profile"
cargo build --profile "$profile" --locked -p roomful --bin roomful
name=roomful-$version-$target
mkdir -p "$dist/$name"
# Without line numbers, which are three quarters of the file. The names of functions stay for backtraces.
strip --strip-debug -o "$dist/$name/roomful" "$built/roomful"
cp README.md LICENSE-* deploy/systemd/roomful.service "$dist/$name/"
tar -C "$dist" --owner=0 --group=0 --sort=name -czf "$dist/$name.tar.gz" "$name"

if command -v cargo-deb >/dev/null; then
    say "the Debian package"
    scripts/debian.sh "$profile" "$dist"
else
    say "no Debian package, since cargo-deb is not installed: cargo install --locked cargo-deb"
fi

say "npm packages"
node scripts/platform-package.mjs "$dist/$name/roomful" "$dist/platform"
for package in "$dist/platform" packages/*/; do
    manifest="$package/package.json"
    if [ ! -e "$manifest" ] || grep -q '"private": true' "$manifest"; then continue; fi
    (cd "$package" && npm run --silent --if-present build &&
        npm pack --silent --pack-destination "$dist/npm" >/dev/null)
done
rm -rf "$dist/platform" "${dist:?}/$name"

say "the Python package"
e2e/.venv/bin/python -m build --no-isolation --outdir "$dist/python" packages/python >/dev/null

say "the software bill of materials"
node scripts/sbom.mjs >"$dist/roomful-$version.cdx.json"

cd "$dist"
find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS
say "everything is in target/dist:"
cat SHA256SUMS
