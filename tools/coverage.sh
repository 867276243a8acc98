#!/usr/bin/env bash
# Measures which branches the C tests take.
usage() {
  cat <<'END'
Usage: tools/coverage.sh [--help]

Branch coverage of the protocol engine by the C tests: per file, in all, and which
lines have branches that no test takes. Fails under 95 percent.

Needs gcc, gcovr and what tools/test.sh installs.
END
}

set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

case ${1-} in
'') ;;
--help | -h) usage; exit 0 ;;
*) usage >&2; exit 2 ;;
esac

readonly least=95
readonly out=build/coverage

command -v gcovr >/dev/null || {
  echo "gcovr is missing (Debian: apt-get install gcovr)"
  exit 1
}

build() {
  # NDEBUG takes out the branches of assert(), which no test can take.
  CC=gcc cmake -S . -B "$out" -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=-DNDEBUG \
    -DWS_COVERAGE=ON -DWS_TESTS=ON &&
    cmake --build "$out" --parallel "$(nproc)" &&
    find "$out" -name '*.gcda' -delete
}

mkdir -p "$out"
build >"$out/build.log" 2>&1 || {
  tail -n 50 "$out/build.log"
  exit 1
}
status=0
timeout 1800 ctest --test-dir "$out" --parallel "$(nproc)" --output-on-failure \
  >"$out/tests.log" 2>&1 || {
  echo "Some tests failed, see $out/tests.log"
  status=1
}

# The column "Missing" lists the lines with branches not taken.
gcovr --root . --object-directory "$out" --filter 'libws/src/proto/' \
  --exclude-unreachable-branches --branches --fail-under-branch "$least" \
  "$out" || status=1
exit $status
