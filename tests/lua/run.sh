#!/usr/bin/env bash
# Builds the rock for each Lua and runs the specs with it.
usage() {
  cat <<'END'
Usage: tests/lua/run.sh [--vm "5.4 luajit"] [--build-only | --valgrind] [SPEC]...

Builds the rock for Lua 5.1 to 5.4 and LuaJIT, or those of --vm, and runs all specs
with it, or those that are named; all that is made stands under build/lua.

  --vm LIST     only these: 5.1, 5.2, 5.3, 5.4, luajit
  --build-only  makes the rocks, and runs no test
  --valgrind    runs round.lua under memcheck, and nothing else
  --help

The output is TAP, with three plans for each Lua: the specs; a script of which
each allocation fails in turn; the same in several states at once. And one for the
packed rock (rock.sh). Needs luarocks, busted, the Luas with their headers, and
lua-socket, lua-cqueues, lua-luv, lua-copas, openssl for the specs.
END
}

set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly top=$PWD out=$PWD/build/lua

vms="5.1 5.2 5.3 5.4 luajit"
is_build_only=
is_valgrind=
while true; do
  case ${1:-} in
  --vm) vms=$2 && shift ;;
  --build-only) is_build_only=yes ;;
  --valgrind) is_valgrind=yes ;;
  --help | -h) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
  *) break ;;
  esac
  shift
done
specs=("$@")
is_partial=yes
if [ ${#specs[@]} -eq 0 ]; then
  specs=(tests/lua/spec)
  is_partial=
fi

# Sets what a Lua is called: interpreter and package, version of the language,
# headers.
choose() {
  case $1 in
  luajit) lua=luajit version=5.1 headers=/usr/include/luajit-2.1 ;;
  *) lua=lua$1 version=$1 headers=/usr/include/lua$1 ;;
  esac
  package=$lua
}

# build VM - installs the rock into build/lua/VM, unless nothing has changed.
# luarocks leaves its objects beside the sources, so it works on a copy.
build() {
  local tree=$out/$1 copy=$out/$1-source stamp=$out/$1/stamp
  if [ -e "$stamp" ] && [ -z "$(find libws bindings/lua lua libws-scm-1.rockspec \
    -newer "$stamp" -print -quit)" ]; then
    return
  fi
  rm -rf "$tree" "$copy"
  mkdir -p "$tree" "$copy/bindings"
  cp -R libws lua libws-scm-1.rockspec "$copy"
  cp -R bindings/lua "$copy/bindings"
  if ! (cd "$copy" && luarocks --lua-version="$version" --tree="$tree" make \
    LUA_INCDIR="$headers" libws-scm-1.rockspec) >"$out/$1.log" 2>&1; then
    tail -n 20 "$out/$1.log"
    return 1
  fi
  rm -rf "$copy"
  touch "$stamp"
}

# with_rock VM COMMAND... - runs a command that finds what was built. Debian has
# Copas, which is Lua for any version, for 5.1 and 5.2 only.
with_rock() {
  local tree=$out/$1
  local modules="$tree/share/lua/$version/?.lua;$tree/share/lua/$version/?/init.lua"
  shift
  LUA_PATH="$modules;$top/tests/lua/?.lua;;/usr/share/lua/5.2/?.lua" \
    LUA_CPATH="$tree/lib/lua/$version/?.so;;" LIBWS_TEST_LUA=$lua timeout 1800 "$@"
}

run_specs() {
  with_rock "$1" "$lua" "$(command -v busted)" --output=TAP --pattern=_spec "${specs[@]}"
}

# Fails one allocation in so many; all of them take half a minute for each Lua.
readonly stride=7

# run_program VM PROGRAM ARGUMENT... - runs round.lua in states that a C program
# makes.
run_program() {
  local program=$out/$1/$2
  # shellcheck disable=SC2046 # several flags
  cc -std=c11 -O1 -Wall -Wextra -Werror -o "$program" "tests/lua/$2.c" \
    $(pkg-config --cflags --libs "$package") -pthread -Wl,--export-dynamic || return
  with_rock "$1" "$program" tests/lua/round.lua "${@:3}"
}

# Faults and leaks of what round.lua does, which is most of the binding.
run_valgrind() {
  with_rock "$1" valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite \
    --error-exitcode=99 "$lua" tests/lua/round.lua
}

failed=0
for vm in $vms; do
  choose "$vm"
  echo "# $vm"
  if [ $is_build_only ]; then
    build "$vm" || failed=1
    continue
  fi
  if [ $is_valgrind ]; then
    build "$vm" && run_valgrind "$vm" && echo "ok - nothing found by valgrind" || failed=1
    continue
  fi
  build "$vm" && run_specs "$vm" || failed=1
  [ $is_partial ] && continue
  run_program "$vm" failing_alloc "$stride" || failed=1
  run_program "$vm" states 4 || failed=1
done
[ $is_partial ] || [ $is_build_only ] || [ $is_valgrind ] || tests/lua/rock.sh || failed=1
exit $failed
