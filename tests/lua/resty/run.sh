#!/usr/bin/env bash
# Runs the tests of libws.resty in nginx, with the rock for LuaJIT that
# tests/lua/run.sh has built.
#
#   tests/lua/resty/run.sh [--libws PROGRAM] [pytest options]
#
# Needs nginx with its Lua module, lua-resty-core and pytest (Debian: nginx
# libnginx-mod-http-lua lua-resty-core python3-pytest), curl and openssl.
set -eu -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly tree=${LIBWS_TREE:-$here/../../../build/lua/luajit}

if [ ! -d "$tree/lib/lua/5.1/libws" ]; then
  echo "no rock in $tree: run tests/lua/run.sh --vm luajit first" >&2
  exit 2
fi
options=(--rootdir="$here" --tree="$(realpath "$tree")")
if [ "${1:-}" = --libws ]; then
  options+=(--libws="$(realpath "$2")")
  shift 2
fi
cd "$here"
exec python3 -B -m pytest -p no:cacheprovider "${options[@]}" "$@"
