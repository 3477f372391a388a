#!/usr/bin/env bash
# Runs the unmodified test suites of engine.io-client and socket.io-client against our server, the example
# client_suites of roomful-socket, on ports 3000 and 3210.
#
# The clients are the published npm packages. These carry no tests, so the tests come from the tags of their
# repository. SOCKET_IO names a clone of it, bare or not; without it, this script clones the repository.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
engine=${ENGINE_IO_CLIENT:-6.6.6}
socket=${SOCKET_IO_CLIENT:-4.8.3}
folder=$root/target/client-suites
source=${SOCKET_IO:-$folder/socket.io.git}
binary=${CLIENT_SUITES_BIN:-${CARGO_TARGET_DIR:-$root/target}/release/examples/client_suites}
# What the tests import, apart from the clients and their dependencies.
tools="mocha@11 expect.js@0.3.1 tsx@4 @sinonjs/fake-timers@15 cookie@0.7.2 blob@0.1.0 text-blob-builder@0.0.1
    has-cors@1.1.0 base64-arraybuffer@1.0.2"

if [ ! -e "$source" ]; then
    mkdir -p "$folder"
    git clone --quiet --bare --filter=blob:none https://github.com/socketio/socket.io "$source"
fi

# prepare NAME VERSION: the published package with the tests of its tag, in $folder/NAME.
prepare() {
    local into=$folder/$1 tests=packages/$1/test
    if [ -e "$into/.complete-$2" ]; then return; fi
    rm -rf "$into"
    mkdir -p "$into"
    (cd "$folder" && npm pack --silent "$1@$2" >/dev/null)
    tar -xzf "$folder/$1-$2.tgz" -C "$into" --strip-components=1
    git -C "$source" archive "$1@$2" "$tests" | tar -x -C "$into" --strip-components=2
    # shellcheck disable=SC2086
    (cd "$into" && npm install --silent --no-save --no-audit --no-fund --ignore-scripts $tools)
    touch "$into/.complete-$2"
}

prepare engine.io-client "$engine"
prepare socket.io-client "$socket"

"$binary" &
server=$!
trap 'kill "$server" 2>/dev/null || true' EXIT
for port in 3000 3210; do
    for _ in $(seq 100); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then break; fi
        kill -0 "$server" || { echo "client-suites: the server has ended" >&2; exit 1; }
        sleep 0.1
    done
done

failed=0
cd "$folder/engine.io-client"
npx --no-install mocha --exit test/index.js || failed=1
cd "$folder/socket.io-client"
npx --no-install mocha --import=tsx --exit test/index.ts || failed=1
exit $failed
