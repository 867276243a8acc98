#!/usr/bin/env bash
# Builds the rock for each Lua and runs the specs with it; all that is made
# stands under build/lua.
#
#   tests/lua/run.sh                   5.1 5.2 5.3 5.4 luajit
#   tests/lua/run.sh --vm "5.4 luajit" only these
#   tests/lua/run.sh spec/url_spec.lua ... only these specs
#
# The output is TAP, one plan for each Lua. Needs luarocks, busted, and the Luas
# with their headers.
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly top=$PWD out=$PWD/build/lua

vms="5.1 5.2 5.3 5.4 luajit"
if [ "${1:-}" = --vm ]; then
  vms=$2
  shift 2
fi
specs=("$@")
[ ${#specs[@]} -gt 0 ] || specs=(tests/lua/spec)

# Sets what a Lua is called: interpreter, version of the language, headers.
choose() {
  case $1 in
  luajit)
    lua=luajit version=5.1
    headers=$(pkg-config --variable=includedir luajit 2>/dev/null || echo /usr/include/luajit-2.1)
    ;;
  *) lua=lua$1 version=$1 headers=/usr/include/lua$1 ;;
  esac
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

# specs VM - runs busted with that Lua.
run_specs() {
  local tree=$out/$1 status=0
  LUA_PATH="$tree/share/lua/$version/?.lua;$tree/share/lua/$version/?/init.lua;$top/tests/lua/?.lua;/usr/share/lua/5.2/?.lua;;" \
    LUA_CPATH="$tree/lib/lua/$version/?.so;;" LIBWS_TEST_LUA=$lua \
    timeout 600 "$lua" "$(command -v busted)" --output=TAP --pattern=_spec "${specs[@]}" || status=$?
  return $status
}

failed=0
for vm in $vms; do
  choose "$vm"
  echo "# $vm"
  { build "$vm" && run_specs "$vm"; } || failed=1
done
exit $failed
