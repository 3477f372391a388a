#!/usr/bin/env bash
# Installs missing programs and packages for a goal: `setup.sh run`, `lint`, `test`, `docs` or `instructions`.
# Quick if nothing is missing. If it cannot install something, it names it and stops.
set -euo pipefail
cd "$(dirname "$0")/.."

goal=${1:-test}
missing=()      # Debian packages
services=()     # those of them that are services too
as_root=()      # what goes before a command that takes root
say() { printf 'setup: %s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }

# --- programs that this script does not install ---------------------------------------------------------

check_toolchains() {
    if ! has cargo; then
        say "Rust is missing. Install it from https://rustup.rs, version 1.95 or later, then try again."
        exit 1
    fi
    if ! has node || ! has npm; then
        say "Node is missing. Install Node 20.19 or later with npm from https://nodejs.org, then try again."
        exit 1
    fi
    local major
    major=$(node -p 'process.versions.node.split(".")[0]')
    if [ "$major" -lt 20 ]; then
        say "Node $(node -v) is too old. Install Node 20.19 or later from https://nodejs.org, then try again."
        exit 1
    fi
}

# --- Debian packages ------------------------------------------------------------------------------

chromium_path() {
    local name
    for name in chromium chromium-browser google-chrome; do
        # On Ubuntu the package may be a stub that asks for a snap; only one that answers counts.
        if has "$name" && "$name" --version >/dev/null 2>&1; then command -v "$name"; return; fi
    done
    return 1
}

# The browser that an earlier run found, if it is still there.
known_chromium() { [ -e target/setup/chromium ] && [ -x "$(cat target/setup/chromium)" ]; }

# The programs of a server, in PATH or where Debian puts them.
has_postgresql() {
    local initdb
    has initdb && return
    for initdb in /usr/lib/postgresql/*/bin/initdb; do
        if [ -x "$initdb" ]; then return; fi
    done
    return 1
}

# Debian keeps these out of a user's PATH.
has_sbin() { has "$1" || [ -x "/usr/sbin/$1" ]; }

want_packages() {
    has cc || missing+=(build-essential)
    if [ "$goal" = test ]; then
        # `ensurepip` is what Debian splits off into python3-venv.
        { has python3 && python3 -c 'import venv, ensurepip' 2>/dev/null; } || missing+=(python3 python3-venv)
        has redis-server || services+=(redis-server)
        has_postgresql || services+=(postgresql)
        has_sbin nginx || services+=(nginx-light)
        has_sbin haproxy || services+=(haproxy)
        # promtool runs the unit tests of the alert rules.
        has promtool || services+=(prometheus)
        # With these, nodes are cut off from each other in network namespaces.
        has_sbin ip || missing+=(iproute2)
        has_sbin nft || services+=(nftables)
        # With this, `make torture-cluster SKEW=…` sets clocks wrong.
        compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || missing+=(libfaketime)
        known_chromium || chromium_path >/dev/null || missing+=(chromium)
    fi
    if [ "$goal" = instructions ]; then
        has valgrind || missing+=(valgrind)
    fi
    missing+=("${services[@]}")
}

# Debian asks this file whether a service may be started. What we install may not: the tests start their
# own, on ports of their own, and nobody asked for a Redis on port 6379, a PostgreSQL on port 5432 or an
# nginx on port 80.
policy=/usr/sbin/policy-rc.d

hold_services() {
    if [ ${#services[@]} -eq 0 ] || [ -e "$policy" ]; then return; fi
    trap release_services EXIT
    printf '#!/bin/sh\n# made by roomful/scripts/setup.sh\nexit 101\n' |
        "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
}

# When Debian installs PostgreSQL, it creates a cluster in /var/lib on port 5432. The tests create their own,
# so this turns it off beforehand. It changes neither an existing setting nor existing clusters.
clusters=/etc/postgresql-common/createcluster.conf

hold_clusters() {
    case " ${services[*]} " in *" postgresql "*) ;; *) return 0 ;; esac
    if [ -e "$clusters" ]; then return; fi
    "${as_root[@]}" mkdir -p "${clusters%/*}"
    printf '# made by roomful/scripts/setup.sh\ncreate_main_cluster = false\n' |
        "${as_root[@]}" tee "$clusters" >/dev/null
}

release_services() {
    if grep -qs 'made by roomful/scripts/setup.sh' "$policy"; then "${as_root[@]}" rm -f "$policy"; fi
}

# Nor are they started at the next boot.
disable_services() {
    local package
    if ! has systemctl; then return; fi
    for package in "${services[@]}"; do
        "${as_root[@]}" systemctl --quiet disable "${package%-light}" 2>/dev/null || true
    done
}

install_packages() {
    [ ${#missing[@]} -gt 0 ] || return 0
    if ! has apt-get; then
        say "These Debian packages, or what your system has in their place, are missing: ${missing[*]}"
        say "Install them, then try again."
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if ! { has sudo && sudo -n true 2>/dev/null; }; then
            say "These packages are missing, and installing them takes root. Run this, then try again:"
            say "    sudo apt-get update && sudo apt-get install -y ${missing[*]}"
            exit 1
        fi
        as_root=(sudo -n)
    fi
    say "installing ${missing[*]}"
    "${as_root[@]}" apt-get update -qq
    hold_services
    hold_clusters
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1 \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    release_services
    disable_services
}

# Leaves the browser's path in target/setup/chromium, where the tests' runner reads it.
find_chromium() {
    if [ "$goal" != test ] || known_chromium; then return; fi
    mkdir -p target/setup
    if ! chromium_path >target/setup/chromium; then
        rm -f target/setup/chromium
        say "Chromium is missing, or is a stub that does not start. Install it or Chrome, then try again."
        exit 1
    fi
}

# --- npm and Python packages ----------------------------------------------------------------------

# stamped STAMP LOCK COMMAND...: runs COMMAND unless it ran for this LOCK already.
stamped() {
    local stamp="$1" want
    want=$(sha256sum "$2")
    shift 2
    if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$want" ]; then return; fi
    "$@"
    printf '%s\n' "$want" >"$stamp"
}

npm_packages() {
    say "installing npm packages"
    npm ci --no-audit --no-fund --loglevel=error "$@"
}

npm_all() { stamped node_modules/.setup-stamp package-lock.json npm_packages; }

# To try the server, the packages of the pages that it embeds are enough. A clone with all packages keeps
# them.
npm_pages() {
    if [ -e node_modules/.setup-stamp ]; then npm_all; return; fi
    stamped node_modules/.setup-stamp-pages package-lock.json npm_packages \
        --workspace apps/web --workspace apps/console
}

python_packages() {
    say "installing Python packages in e2e/.venv"
    rm -rf e2e/.venv
    python3 -m venv e2e/.venv
    e2e/.venv/bin/pip install --quiet --disable-pip-version-check -r e2e/python/requirements.txt
}

# --- Rust components and tools ------------------------------------------------------------------------------

rust_components() {
    cargo clippy --version >/dev/null 2>&1 && cargo fmt --version >/dev/null 2>&1 && return
    if ! has rustup; then
        say "clippy or rustfmt is missing. Install both for your Rust, then try again."
        exit 1
    fi
    say "adding clippy and rustfmt"
    rustup component add clippy rustfmt
}

# Packs the Debian package, which a test installs. It is of no use on other systems, and a failure stops
# nothing.
cargo_deb() {
    if ! has dpkg || cargo deb --version >/dev/null 2>&1; then return; fi
    say "installing cargo-deb"
    cargo install --locked --quiet cargo-deb ||
        say "failed to install cargo-deb, so the test of the Debian package is skipped"
}

check_toolchains
want_packages
install_packages
find_chromium
case $goal in
run | instructions)
    npm_pages
    ;;
*)
    npm_all
    ;;
esac
case $goal in
lint)
    rust_components
    ;;
test)
    stamped e2e/.venv/.setup-stamp e2e/python/requirements.txt python_packages
    cargo_deb
    ;;
esac
