#!/usr/bin/env bash
# Bring what the tests need from outside Python: `.ci/need.sh drawing` gets Chromium, Graphviz and Mermaid for tests/drawing.
# What is there already is left alone. Ends with 1, and says what is missing, where it cannot be had.
set -uo pipefail
cd "$(dirname "$0")/.."

package() { # package COMMAND DEBIAN-PACKAGE: install the package if there is no such command
    command -v "$1" >/dev/null && return
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get install -qq -y --no-install-recommends "$2" >/dev/null 2>&1 ||
            { apt-get update -qq && apt-get install -qq -y --no-install-recommends "$2" >/dev/null; }
    fi
    command -v "$1" >/dev/null || { echo "$1 is missing: install it with your package manager ($2)" >&2 && return 1; }
}

modules() { # the packages of tests/drawing/package-lock.json, in a folder of the cache that is named after it
    local lock=tests/drawing/package-lock.json folder
    command -v npm >/dev/null || { echo "npm is missing: install Node.js with your package manager" >&2 && return 1; }
    folder=${XDG_CACHE_HOME:-$HOME/.cache}/septum/drawing-$(sha256sum "$lock" | cut -c 1-12)
    [ -e "$folder/ready" ] && return
    mkdir -p "$folder" && cp tests/drawing/package.json "$lock" tests/drawing/.npmrc "$folder" &&
        (cd "$folder" && npm ci --ignore-scripts --loglevel=error) && touch "$folder/ready"
}

drawing() {
    local failed=0
    package chromium chromium || failed=1
    package dot graphviz || failed=1
    modules || failed=1
    return "$failed"
}

case ${1:-} in
drawing) drawing ;;
*) echo "usage: .ci/need.sh drawing" >&2 && exit 2 ;;
esac
