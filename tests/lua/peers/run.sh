#!/usr/bin/env bash
# Runs the Lua side with real peers, on LuaJIT or another VM.
#
#   tests/lua/peers/run.sh --prefix DIR [--vm VM] [pytest options]
#
# Needs the rock of tests/lua/run.sh (build/lua), what tests/peers/run.sh has
# prepared (build/peers), the package of tests/python/run.sh (build/python), and
# in DIR an installed libws.
set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
readonly top=$PWD

prefix='' vm=luajit
while [ $# -gt 0 ]; do
  case $1 in
  --prefix) prefix=$(cd "$2" && pwd) ;;
  --vm) vm=$2 ;;
  *) break ;;
  esac
  shift 2
done
[ -n "$prefix" ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d' >&2; exit 2; }

case $vm in
luajit) lua=luajit version=5.1 ;;
*) lua=lua$vm version=$vm ;;
esac
readonly tree=$top/build/lua/$vm
export LUA_PATH="$tree/share/lua/$version/?.lua;$tree/share/lua/$version/?/init.lua;;"
export LUA_CPATH="$tree/lib/lua/$version/?.so;;"
export PYTHONDONTWRITEBYTECODE=1
# An absolute path: -m pytest puts the folder it stands in first.
cd "$top/tests/lua/peers"
exec "$top/build/peers/venv/bin/python" -m pytest -p no:cacheprovider --rootdir=. \
  --prefix="$prefix" --lua="$(command -v "$lua")" --node="$top/build/peers/node" \
  --libws-python="$top/build/python/venv/bin/python" "$@"
