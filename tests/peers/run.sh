#!/usr/bin/env bash
# Prepares and runs the tests with real peers.
usage() {
  cat <<'END'
Usage: tests/peers/run.sh --prefix DIR [OPTION]... [PYTEST ARGUMENT]...

Tests the command `libws` and the C library installed in DIR with browsers,
servers, proxies and WebSocket libraries of others, in both directions. What is
made stands under build/peers: a Python environment (PyPI), npm ws (npm), the
probe, results.

  --quick            leaves out the tests marked `heavy`: Chromium, node, nginx,
                     tinyproxy, microsocks, and 10,000 connections. Nothing is
                     needed from npm then.
  --sanitize LIST    libws was built with -fsanitize=LIST: so is the probe, and
                     memory is not measured.
  --screenshots DIR  runs no test; writes the pictures of the documentation, of
                     the chat page and of the command, as chat.png and
                     command.png.
  --help

Needs python3 with venv, cmake and a C compiler; without --quick also chromium,
nginx, node, npm, tinyproxy and microsocks.
END
}

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$(cd "$here/../.." && pwd)/build/peers
readonly here out venv=$out/venv node=$out/node

prefix='' screenshots='' is_quick='' sanitizers='' markers='' pytest_arguments=()
while [ $# -gt 0 ]; do
  case $1 in
  --prefix) prefix=$(cd "$2" && pwd) || exit 2; shift ;;
  --quick) is_quick=yes ;;
  --sanitize) sanitizers=$2; shift ;;
  --screenshots) screenshots=$(realpath -m "$2"); shift ;;
  --help | -h) usage; exit 0 ;;
  *) pytest_arguments+=("$1") ;;
  esac
  shift
done
[ -n "$prefix" ] || { usage >&2; exit 2; }

probe=$out/probe probe_flags=''
if [ -n "$sanitizers" ]; then
  probe=$out/probe-sanitized probe_flags="-fsanitize=$sanitizers"
  markers+=' and not exact_memory'
  export WS_PEERS_TIME_SCALE=${WS_PEERS_TIME_SCALE:-3}
fi
[ -z "$is_quick" ] || markers+=' and not heavy'
[ -z "$markers" ] || pytest_arguments+=(-m "${markers# and }")

# once NAME FILE COMMAND... - runs a command unless it went well before with the
# same FILE.
once() {
  local stamp=$out/$1.stamp file=$2
  shift 2
  cmp -s "$file" "$stamp" && return
  "$@" && cp "$file" "$stamp"
}

make_venv() {
  python3 -m venv --clear "$venv" &&
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
}

make_node() {
  (cd "$node" && npm ci --silent --no-audit --no-fund)
}

build_probe() {
  cmake -S "$here/probe" -B "$probe" -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_C_FLAGS="$probe_flags" >/dev/null &&
    cmake --build "$probe" >/dev/null
}

prepare() {
  mkdir -p "$node" &&
    once venv "$here/requirements.txt" make_venv &&
    build_probe || return
  [ -z "$is_quick" ] || return 0
  cp "$here"/node/* "$node" && once node "$here/node/package-lock.json" make_node
}

prepare || { echo "tests/peers: could not prepare; what is missing comes from PyPI and npm, by a network" >&2; exit 1; }

export PYTHONDONTWRITEBYTECODE=1
cd "$here" || exit 1
if [ -n "$screenshots" ]; then
  exec "$venv/bin/python" screenshot.py "$prefix" "$screenshots"
fi
exec "$venv/bin/python" -m pytest --prefix="$prefix" --probe="$probe/probe" --out="$out" \
  --node="$node" --junitxml="$out/results.xml" ${pytest_arguments[@]+"${pytest_arguments[@]}"}
