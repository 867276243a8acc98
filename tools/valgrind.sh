#!/usr/bin/env bash
# Runs the C tests under valgrind, which sees reads of memory that nobody has
# written; the sanitizers do not. Takes a quarter of an hour and more. All that it
# makes stands under build/valgrind.
usage() {
  cat <<'END'
Usage: tools/valgrind.sh [--slow] [--help] [REGEX]

Builds the C tests without sanitizers and runs those whose name matches REGEX
(default: all) under memcheck: wrong reads and writes, and values never written.
Leaks are the sanitizers' subject. Needs valgrind, and what tools/test.sh installs.

  --slow  also those that take minutes each: they try every value of something, or
          have every allocation or call fail in turn.

The exit status is 0 if nothing was found. The full output is in
build/valgrind/tests.log.
END
}

set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

# Those that tests/CMakeLists.txt calls slow, and these.
readonly slow='^(test_close_codes|test_conn_(limits|oom|reference|vectors)|test_deflate'\
'|test_mask|test_poller_faults|test_reentrancy|test_socket_(faults|oom)|test_tls_memory|test_utf8|simulate_conn)$'
readonly out=build/valgrind

exclude=$slow regex=.
while [ $# -gt 0 ]; do
  case $1 in
  --slow) exclude='^$' ;;
  --help | -h) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
  *) regex=$1 ;;
  esac
  shift
done

command -v valgrind >/dev/null || {
  echo "valgrind is missing (Debian: apt-get install valgrind)"
  exit 1
}

build() {
  # CMake puts the emulator before every program that is a test.
  CC=gcc cmake -S . -B "$out" -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_C_FLAGS_DEBUG="-O1 -g -DPATIENCE_MS=300000 -DUNDER_VALGRIND" \
    -DWS_EXAMPLES=OFF -DWS_CLI=OFF -DWS_TEST_TIMEOUT=3000 \
    -DCMAKE_CROSSCOMPILING_EMULATOR="valgrind;--quiet;--error-exitcode=99" &&
    cmake --build "$out" --parallel "$(nproc)"
}

mkdir -p "$out"
build >"$out/build.log" 2>&1 || {
  tail -n 50 "$out/build.log"
  exit 1
}
CMOCKA_MESSAGE_OUTPUT=TAP ctest --test-dir "$out" --output-on-failure --no-tests=error \
  --parallel "$(nproc)" --tests-regex "$regex" --exclude-regex "$exclude" |
  tee "$out/tests.log" | grep -vE '^ok [0-9]+|^ *Start +[0-9]+:'
exit "${PIPESTATUS[0]}"
