#!/usr/bin/env bash
# Runs Autobahn's test suite against the clients and servers of libws.
usage() {
  cat <<'END'
Usage: tests/autobahn/run.sh --prefix DIR --python PROGRAM --lua PROGRAM [clients|servers]

DIR has an installed libws (cmake --install), the programs are a Python and a Lua
that find theirs. Reports go to build/autobahn/reports; what is in them is compared
with expected.json. Without the last word both are run.

wstest is taken from $WSTEST or PATH, or else from the public image
crossbario/autobahn-testsuite by docker. WSTEST='python3 tests/autobahn/stand_in.py'
tries the drivers with a few cases of our own.
END
}

set -eu -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here out=$here/../../build/autobahn

prefix='' python='' lua='' what=(clients servers)
while [ $# -gt 0 ]; do
  case $1 in
  --prefix) prefix=$(cd "$2" && pwd); shift ;;
  --python) python=$2; shift ;;
  --lua) lua=$2; shift ;;
  clients | servers) what=("$1") ;;
  --help | -h) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
  esac
  shift
done
if [ -z "$prefix" ] || [ -z "$python" ] || [ -z "$lua" ]; then
  usage >&2
  exit 2
fi

started=()
# shellcheck disable=SC2317 # called by trap
finish() {
  [ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null || true
  wait
}
trap finish EXIT

# wstest MODE - in the foreground, with the configuration of that mode.
wstest() {
  if [ -n "${WSTEST:-}" ] || command -v wstest >/dev/null; then
    # shellcheck disable=SC2086 # may be several words
    exec ${WSTEST:-wstest} -m "$1" -s "$here/config/$1.json"
  else
    exec docker run --rm --network host -v "$here/config:/config" -v "$out/reports:/reports" \
      -w / crossbario/autobahn-testsuite wstest -m "$1" -s "/config/$1.json"
  fi
}

# await PORT - until somebody listens there.
await() {
  local try
  for try in $(seq 300); do
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
    sleep 0.1
  done
  echo "nobody listens on port $1 after $try tries" >&2
  return 1
}

clients() {
  (wstest fuzzingserver) &
  started+=($!)
  await 9001
  ./client ws://127.0.0.1:9001 libws-c
  "$python" "$here/client.py" ws://127.0.0.1:9001 libws-python
  "$lua" "$here/client.lua" ws://127.0.0.1:9001 libws-lua
}

servers() {
  local port
  "$prefix/bin/libws" serve --port 9002 --compression --max-message 64M &
  started+=($!)
  "$python" -m libws serve --port 9003 --compression --max-message 64M &
  started+=($!)
  "$lua" "$here/server.lua" 9004 &
  started+=($!)
  for port in 9002 9003 9004; do await "$port"; done
  (wstest fuzzingclient)
}

mkdir -p "$out/reports"
cd "$out"
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name libws.pc)")
LD_LIBRARY_PATH=$(dirname "$(find "$prefix" -name libws.so)")
export PKG_CONFIG_PATH LD_LIBRARY_PATH
# shellcheck disable=SC2046 # one word for each flag
"${CC:-cc}" -std=c11 "$here/client.c" -o client $(pkg-config --cflags --libs libws)

status=0
for one in "${what[@]}"; do
  rm -rf "reports/$one"
  mkdir "reports/$one"
  "$one"
  python3 "$here/check_results.py" "reports/$one/index.json" || status=1
done
exit $status
