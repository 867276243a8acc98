#!/usr/bin/env bash
# Builds and tests everything. Works from any folder, as often as you like; all
# that it makes stands under build/test. The last line says how it went.
usage() {
  cat <<'END'
Usage: tools/test.sh [--quick] [--help] [STEP]...

Installs what is missing (Debian and Ubuntu, as root or through sudo, by apt),
then builds and runs all tests:
  - layout and layers of the C sources, Lua and shell scripts (tools/lint.sh
    --quick),
  - gcc, Release: all C tests, and the corpora of the fuzzers,
  - gcc and clang, Debug, address and undefined-behaviour sanitizers: the same
    tests,
  - clang, thread sanitizer: the C tests labelled `threads`,
  - the installed package, used through pkg-config and CMake,
  - the installed command and library with real peers, plain and with
    sanitizers (tests/peers); what they need from PyPI and npm goes to
    build/peers,
  - the Python package (tests/python), in an environment under build/python,
  - the Lua rock on 5.1, 5.2, 5.3, 5.4 and LuaJIT (tests/lua), under build/lua,
  - libws.resty in nginx (tests/lua/resty),
  - the documentation: its snippets in C, Python and Lua, its links (tests/docs),
  - the demo, until its guests have answered (tools/demo.sh --once), in build/demo,
  - the Lua rock with real peers (tests/lua/peers),
  - the documentation as HTML: links and spelling (tools/site.py --check),
  - the packages: each made, installed, used and removed (tools/package.sh --quick).

  --quick  leaves out the C test programs labelled `slow`, which try every value
           of something (slow_tests in tests/CMakeLists.txt), and the peers that
           are large programs: Chromium, node, nginx, tinyproxy, microsocks;
           all else runs.

  STEP     runs only this step: a name that stands after ==
           in the output. What it needs of earlier steps has to be there.

Each step says how long it took. The last line is "N passed, N failed", where N
counts single test cases. The exit status is 0 if nothing failed. The output of a
failing test is shown; the full output of every step is in build/test/*.log.
END
}

set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

ctest=(ctest)
ctest_options=()
build_options=()
peers_options=()
steps=()
is_quick=
while [ $# -gt 0 ]; do
  case $1 in
  --quick)
    is_quick=yes
    ctest_options+=(--label-exclude '^slow$')
    peers_options+=(--quick)
    ;;
  --help | -h) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
  *) steps+=("$1") ;;
  esac
  shift
done

readonly out=$PWD/build/test
jobs=$(nproc)

# -- What is needed --------------------------------------------------------------

has_library() { pkg-config --exists "$1" 2>/dev/null; }
has_sanitizers() {
  echo 'int main(void) { return 0; }' |
    clang -fsanitize=address,undefined -x c -o /dev/null - 2>/dev/null
}

# The peers of tests/peers. Debian's servers are not on everybody's PATH.
has_program() { PATH=$PATH:/usr/sbin command -v "$1" >/dev/null; }
missing_peers() {
  python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
  [ -z "$is_quick" ] || return 0
  has_program chromium || echo chromium
  has_program microsocks || echo microsocks
  has_program nginx || echo nginx
  has_program node || echo nodejs
  has_program npm || echo npm
  has_program tinyproxy || echo tinyproxy
  # For libws.resty.
  has_program curl || echo curl
  [ -e /usr/lib/nginx/modules/ngx_http_lua_module.so ] || echo libnginx-mod-http-lua
  [ -e /usr/share/lua/5.1/resty/core.lua ] || echo lua-resty-core
}

# What the bindings are built and tested with.
has_python_headers() {
  python3 -c 'import os, sysconfig as s; os.stat(s.get_path("include") + "/Python.h")' 2>/dev/null
}
missing_for_bindings() {
  has_python_headers || echo python3-dev
  has_program luarocks || echo luarocks
  has_program busted || echo lua-busted
  local version
  for version in 5.1 5.2 5.3 5.4; do
    has_program "lua$version" || echo "lua$version"
    [ -e "/usr/include/lua$version/lua.h" ] || echo "liblua$version-dev"
  done
  has_program luajit || echo luajit2
  [ -e /usr/include/luajit-2.1/lua.h ] || echo libluajit2-5.1-dev
  # The host loops that the bridges join, and sockets for the tests.
  local rock
  for rock in lua-cqueues lua-luv lua-copas lua-socket; do
    dpkg -s "$rock" >/dev/null 2>&1 || echo "$rock"
  done
}

# Prints the Debian packages that are missing. The sanitizers' package has the
# version of clang in its name, so it shows only once clang is there.
missing_packages() {
  command -v python3 >/dev/null || echo python3
  command -v cmake >/dev/null || echo cmake
  command -v make >/dev/null || echo make
  command -v gcc >/dev/null || echo gcc libc6-dev
  command -v g++ >/dev/null || echo g++
  command -v clang >/dev/null || echo clang
  command -v clang-format >/dev/null || echo clang-format
  command -v llvm-symbolizer >/dev/null || echo llvm # Names in clang's reports.
  command -v pkg-config >/dev/null || echo pkg-config
  command -v openssl >/dev/null || echo openssl
  command -v luacheck >/dev/null || echo lua-check
  command -v shellcheck >/dev/null || echo shellcheck
  command -v dpkg-shlibdeps >/dev/null || echo dpkg-dev
  command -v file >/dev/null || echo file # For cpack.
  [ "$(id -u)" -eq 0 ] || command -v fakeroot >/dev/null || echo fakeroot
  has_library cmocka || echo libcmocka-dev
  has_library zlib || echo zlib1g-dev
  has_library 'libssl >= 3.0' || echo libssl-dev
  has_library libidn2 || echo libidn2-dev
  has_library libuv || echo libuv1-dev
  missing_peers
  missing_for_bindings
  if command -v clang >/dev/null && ! has_sanitizers; then
    echo "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
  fi
}

give_up() {
  printf '%s\n' "$@" "0 passed, 1 failed"
  exit 1
}

install_missing() {
  local missing sudo=()
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  for _ in 1 2; do
    missing=$(missing_packages | xargs)
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null ||
      give_up "Missing, and this is no Debian or Ubuntu: $missing"
    [ ${#sudo[@]} -eq 0 ] || command -v sudo >/dev/null ||
      give_up "Missing: $missing" "Install them as root, or install sudo."
    echo "Installing: $missing"
    # shellcheck disable=SC2086 # one word for each package
    { timeout 300 "${sudo[@]}" apt-get -q update # A broken third source is no matter.
      timeout 1200 "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -q install -y --no-install-recommends $missing; } \
      >"$out/install.log" 2>&1 || {
      tail -n 15 "$out/install.log"
      give_up "Could not install: $missing" \
        "If there is no network: with these installed beforehand, none is needed."
    }
  done
  missing=$(missing_packages | xargs)
  [ -z "$missing" ] || give_up "Installed, but still not usable: $missing"
}

# -- Running ---------------------------------------------------------------------

# What was started ends with this shell.
end_jobs() {
  # shellcheck disable=SC2046 # one word for each process
  kill $(jobs -p) 2>/dev/null
  wait
  exit 130
}

# run NAME SECONDS COMMAND... - runs with a time limit, which is for what hangs: with
# others on the machine all takes ten times as long. The output goes to
# build/test/NAME.log and is shown if it fails.
run() {
  local name=$1 seconds=$2 status=0
  shift 2
  # In the background, as a signal is heard only while the shell waits.
  timeout -k 10 "$seconds" "$@" >"$out/$name.log" 2>&1 &
  wait $! || status=$?
  [ $status -ne 0 ] || return 0
  # What went well is left out.
  grep -vE '^ok [0-9]+|^ *Start +[0-9]+:|^\[ *[0-9]+%\]| Passed +[0-9.]+ sec$|\.\.\. ok$' "$out/$name.log" | tail -n 400
  [ $status -ne 124 ] || echo "stopped after $seconds seconds"
  echo "FAILED: $name"
  return 1
}

# count PASSED FAILED - notes so many cases. Steps may run side by side, each in a
# shell of its own, so this is a file.
count() { echo "$1 $2" >>"$out/counts"; }

# check NAME SECONDS COMMAND... - the same as run, counted as one test.
check() {
  if run "$@"; then
    count 1 0
  else
    count 0 1
    return 1
  fi
}

# count_cases NAME STATUS "PASSED FAILED" - notes what a program says of its cases.
# If it ended in failure, that is one here, even if it shows none.
count_cases() {
  local passed failed
  read -r passed failed <<<"$3"
  [ "$2" -eq 0 ] || [ "${failed:-0}" -gt 0 ] || failed=1
  count "${passed:-0}" "${failed:-0}"
  echo "${passed:-0} passed, ${failed:-0} failed in $1"
}

# Reads ctest's LastTest.log and prints "PASSED FAILED". A program that speaks
# TAP (cmocka) counts by its cases, and as one failure if it failed beside them
# (died, leaked, took too long); any other program counts as one.
ctest_cases() {
  [ -f "$1" ] || return
  awk '
    function add() {
      if (!is_test) return
      if (!is_passed && not_ok == 0) not_ok = 1
      if (is_passed && ok + not_ok == 0) ok = 1
      passed += ok; failed += not_ok
    }
    /^[0-9]+\/[0-9]+ Testing: / { add(); is_test = 1; is_passed = ok = not_ok = 0 }
    /^(not )?ok [0-9]+ # SKIP/  { print "skipped: " $0 >"/dev/stderr"; next }
    /^ok [0-9]+/                { ok++ }
    /^not ok [0-9]+/            { not_ok++ }
    /^Test Passed\.$/           { is_passed = 1 }
    END { add(); print passed + 0, failed + 0 }' "$1"
}

# c_tests NAME SOURCE CMAKE_OPTION... - configures and builds a project in
# build/test/NAME and runs its tests.
c_tests() {
  local name=$1 source=$2 dir=$out/$1 status=0
  shift 2
  if ! run "$name-configure" 600 cmake -S "$source" -B "$dir" "$@" ||
    ! run "$name-build" 1800 cmake --build "$dir" --parallel "$jobs" \
      ${build_options[@]+"${build_options[@]}"}; then
    count 0 1
    return
  fi
  local log=$dir/Testing/Temporary/LastTest.log
  rm -f "$log"
  CMOCKA_MESSAGE_OUTPUT=TAP run "$name-ctest" 3600 "${ctest[@]}" --test-dir "$dir" \
    --output-on-failure --no-tests=error --parallel "$jobs" \
    ${ctest_options[@]+"${ctest_options[@]}"} || status=1
  count_cases "$name" $status "$(ctest_cases "$log")"
}

# Reads the results of pytest and prints "PASSED FAILED".
pytest_cases() {
  [ -f "$1" ] || return
  python3 - "$1" <<'END'
import sys
import xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot().find("testsuite")
count = {name: int(suite.get(name)) for name in ("tests", "failures", "errors", "skipped")}
failed = count["failures"] + count["errors"]
print(count["tests"] - count["skipped"] - failed, failed)
END
}

# pytest_tests NAME SECONDS RESULTS COMMAND... - runs what calls pytest, whose
# results are to stand in the file RESULTS, and shows what was skipped or measured.
pytest_tests() {
  local name=$1 seconds=$2 results=$3 status=0
  shift 3
  rm -f "$results"
  run "$name" "$seconds" "$@" -rs || status=1
  count_cases "$name" $status "$(pytest_cases "$results")"
  grep -E '^(SKIPPED|measured:)' "$out/$name.log"
}

# -- The steps -------------------------------------------------------------------

lint() {
  check lint 600 tools/lint.sh --quick
  check layers-self-test 300 python3 tools/check_layers.py --self-test
}

gcc_release() {
  CC=gcc c_tests gcc-release . -DCMAKE_BUILD_TYPE=Release -DWS_WERROR=ON
}

# sanitizers COMPILER
sanitizers() {
  # -O1: with no optimisation the tests that try every value take minutes.
  local -x ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
  CC=$1 c_tests "$1-sanitizers" . -DCMAKE_BUILD_TYPE=Debug -DWS_WERROR=ON \
    -DCMAKE_C_FLAGS_DEBUG="-O1 -g" -DWS_SANITIZE=address,undefined
}

gcc_sanitizers() { sanitizers gcc; }
clang_sanitizers() { sanitizers clang; }

# Of the C tests only those that have threads. The sanitizer cannot run where
# addresses are very random, so they are not, if the system lets us.
thread_sanitizer() {
  local ctest=(ctest) ctest_options=(--label-regex '^threads$')
  local build_options=(--target thread_tests)
  local without_aslr=(setarch "$(uname -m)" --addr-no-randomize)
  ! "${without_aslr[@]}" true 2>/dev/null || ctest=("${without_aslr[@]}" ctest)
  CC=clang c_tests thread-sanitizer . -DCMAKE_BUILD_TYPE=Debug -DWS_WERROR=ON \
    -DCMAKE_C_FLAGS_DEBUG="-O1 -g" -DWS_SANITIZE=thread
}

# Installs what gcc_release built and uses it from outside of the tree.
package() {
  rm -rf "$out/prefix" "$out/package-cmake"
  check package-install 300 cmake --install "$out/gcc-release" --prefix "$out/prefix" ||
    return
  for kind in shared static; do
    check "package-pkg-config-$kind" 600 tests/package/pkg_config.sh \
      "$out/prefix" "$out/package-pkg-config" "$kind"
  done
  c_tests package-cmake tests/package -DCMAKE_PREFIX_PATH="$out/prefix"
}

# peer_tests NAME BUILD OPTION... - installs what c_tests built in build/test/BUILD
# and runs tests/peers with it.
peer_tests() {
  local name=$1 build=$2
  shift 2
  check "$name-install" 300 cmake --install "$out/$build" --prefix "$out/prefix-$name" &&
    pytest_tests "$name" 1800 build/peers/results.xml \
      tests/peers/run.sh --prefix "$out/prefix-$name" "$@" \
      ${peers_options[@]+"${peers_options[@]}"}
}

peers() { CC=gcc peer_tests peers gcc-release; }

peers_sanitizers() {
  CC=gcc peer_tests peers-sanitizers gcc-sanitizers --sanitize address,undefined
}

python_binding() {
  pytest_tests python 1800 build/python/results.xml \
    tests/python/run.sh ${peers_options[@]+"${peers_options[@]}"}
}

# Counts by the lines of TAP, of all five Luas.
lua_binding() {
  local status=0
  run lua 3600 tests/lua/run.sh || status=1
  count_cases lua $status \
    "$(grep -c '^ok ' "$out/lua.log") $(grep -c '^not ok ' "$out/lua.log")"
}

# With the pytest of python_binding, and the rock of lua_binding. nginx is a large
# peer; it cannot say which port it got, so nothing else takes ports meanwhile.
resty() {
  [ -z "$is_quick" ] || return 0
  local -x PATH=$PWD/build/python/venv/bin:$PATH
  pytest_tests resty 1200 "$out/resty.xml" tests/lua/resty/run.sh \
    --libws "$out/gcc-release/cli/libws" --junitxml="$out/resty.xml"
}

# With what peers, python_binding and lua_binding have made.
lua_peers() {
  [ -z "$is_quick" ] || return 0
  pytest_tests lua-peers 1200 "$out/lua-peers.xml" tests/lua/peers/run.sh \
    --prefix "$out/prefix-peers" --junitxml="$out/lua-peers.xml"
}

# Each package is made, installed, used and removed.
packages() {
  [ -z "$is_quick" ] || return 0
  local status=0
  run packages 1800 tools/package.sh --quick || status=1
  count_cases packages $status \
    "$(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$out/packages.log" | tail -n 1)"
}

site() { check site 1200 tools/site.py --check; }

# With all that was built: the C tests had no bindings.
docs() {
  local rock=$PWD/build/lua/5.4
  LUA_PATH="$rock/share/lua/5.4/?.lua;$rock/share/lua/5.4/?/init.lua;;" \
    LUA_CPATH="$rock/lib/lua/5.4/?.so;;" check docs 1200 \
    python3 tests/docs/test_docs.py --cc gcc --command "$out/gcc-release/cli/libws" \
    --library "$out/gcc-release/libws.so" --python build/python/venv/bin/python --lua lua5.4
  grep -E '\.\.\. skipped' "$out/docs.log"
}

demo() { check demo 1800 tools/demo.sh --once; }

# step NAME - one of the above.
step() {
  local started=$SECONDS
  echo "== $1"
  "$1"
  echo "$((SECONDS - started)) s"
}

# side_by_side NAME... - steps that share nothing, at once; what they say comes in
# their order.
side_by_side() {
  local name
  for name; do
    (trap end_jobs TERM && step "$name") >"$out/$name.out" 2>&1 &
  done
  wait
  for name; do
    cat "$out/$name.out"
  done
}

all_steps() {
  local name
  for name in lint gcc_release gcc_sanitizers clang_sanitizers thread_sanitizer package \
    peers peers_sanitizers; do
    step "$name"
  done
  side_by_side python_binding lua_binding
  side_by_side docs demo
  side_by_side lua_peers site
  step resty
  step packages
}

main() {
  mkdir -p "$out"
  # Two runs in one folder would trip over each other.
  exec 9>"$out/lock"
  flock -w 3600 9 || give_up "Another run holds $out/lock."

  install_missing
  : >"$out/counts"
  trap end_jobs INT TERM
  if [ ${#steps[@]} -eq 0 ]; then
    all_steps
  fi
  for name in ${steps[@]+"${steps[@]}"}; do
    step "$name"
  done
  awk '{ passed += $1; failed += $2 }
    END { print passed + 0 " passed, " failed + 0 " failed"; exit failed > 0 }' "$out/counts"
}

main
