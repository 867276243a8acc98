#!/usr/bin/env bash
# Reads the sources without running them. Changes nothing but build/lint.
usage() {
  cat <<'END'
Usage: tools/lint.sh [--quick] [--help]

Checks that
  - clang-format would leave every C file as it is (only version 14 is asked:
    others differ in details),
  - the sources include one another in one direction only,
  - each row of the contract has a test in every language it is for
    (docs/behaviour.md, made by tools/behaviour.py),
  - luacheck finds nothing in any Lua (.luacheckrc), and shellcheck no warning in
    any script,
  - clang-tidy finds nothing in the C of the library, the command, the examples and
    the benchmarks (.clang-tidy; takes some minutes).

  --quick  leaves out clang-tidy.

The exit status is 0 if nothing was found.
END
}

set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

is_quick=
while [ $# -gt 0 ]; do
  case $1 in
  --quick) is_quick=yes ;;
  --help | -h) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
  esac
  shift
done

readonly format_version=14

check_layout() {
  if ! clang-format --version | grep -q "version $format_version\."; then
    echo "layout not checked: there is no clang-format $format_version"
    return 0
  fi
  find libws cli bindings examples tests fuzz bench -name '*.[ch]' -print0 |
    xargs -0 clang-format --dry-run -Werror
}

check_scripts() {
  local status=0
  luacheck --quiet --no-color lua tests/lua examples bench || status=1
  find .ci bench examples tests tools \( -name '*.sh' -o -path .ci/run \) -print0 |
    xargs -0 shellcheck --severity=warning || status=1
  return $status
}

# The C files of the build that are to be read, but for tests, whose macros and
# cases need other rules.
files_of_build() {
  python3 - "$1" <<'END'
import json
import os
import sys

with open(f"{sys.argv[1]}/compile_commands.json") as file:
    paths = {os.path.relpath(entry["file"]) for entry in json.load(file)}
print(*sorted(p for p in paths if p.startswith(("libws/", "cli/", "examples/", "bench/"))), sep="\n")
END
}

# One file at a time, and each once (a release compiles the library twice): what
# clang-tidy says must not depend on its neighbours.
check_code() {
  CC=clang cmake -S . -B build/lint -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DWS_BENCH=ON >/dev/null &&
    files_of_build build/lint | xargs -n 1 -P "$(nproc)" clang-tidy -p build/lint --quiet
}

status=0
check_layout || status=1
python3 tools/check_layers.py || status=1
python3 tools/behaviour.py --check || status=1
check_scripts || status=1
[ -n "$is_quick" ] || check_code || status=1
exit $status
