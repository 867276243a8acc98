#!/usr/bin/env bash
# Packs the rock, installs what was packed where nothing of libws is, and uses it:
# what a user gets from `luarocks install`. The output is TAP.
#
#   tests/lua/rock.sh [VM]             5.4, or another Lua
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit
readonly top=$PWD vm=${1:-5.4}

case $vm in
luajit) lua=luajit version=5.1 headers=/usr/include/luajit-2.1 ;;
*) lua=lua$vm version=$vm headers=/usr/include/lua$vm ;;
esac
folder=$(mktemp -d)
readonly folder
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/source/bindings"
cp -R libws lua libws-scm-1.rockspec "$folder/source"
cp -R bindings/lua "$folder/source/bindings"
cd "$folder/source" || exit 1

rocks() { luarocks --lua-version="$version" "$@"; }

count=0 failed=0
# check NAME COMMAND... - one test; what the command says is shown if it fails.
check() {
  local name=$1
  shift
  count=$((count + 1))
  if "$@" >"$folder/log" 2>&1; then
    echo "ok $count - the rock $name"
  else
    echo "not ok $count - the rock $name"
    tail -n 20 "$folder/log" | sed 's/^/# /'
    failed=1
  fi
}

lint() { rocks lint libws-scm-1.rockspec; }

# names WHAT HEADER - without it, the message says which it was looking for.
names() {
  ! rocks --tree="$folder/none" make LUA_INCDIR="$headers" "$1_DIR=/nowhere" libws-scm-1.rockspec \
    >"$folder/output" 2>&1
  cat "$folder/output"
  grep -q "Could not find header file for $1" "$folder/output" && grep -q "$2" "$folder/output"
}

# Without network, whatever the machine has.
offline() {
  if unshare --net true 2>/dev/null; then unshare --net "$@"; else "$@"; fi
}

pack() {
  offline luarocks --lua-version="$version" --tree="$folder/build" make --pack-binary-rock \
    LUA_INCDIR="$headers" libws-scm-1.rockspec && ls libws-scm-1.*.rock
}

install() {
  mkdir "$folder/rock" && mv libws-scm-1.*.rock "$folder/rock" &&
    rocks --tree="$folder/tree" install --deps-mode=none "$folder"/rock/*.rock
}

# The files of lua/ and the two modules, and nothing else.
has_its_files() {
  (cd lua && find . -type f | sort) >"$folder/expected"
  (cd "$folder/tree/share/lua/$version" && find . -type f | sort) >"$folder/actual"
  diff "$folder/expected" "$folder/actual" &&
    [ "$(cd "$folder/tree/lib/lua/$version" && find . -type f | sort | xargs)" = \
      "./libws/codec.so ./libws/core.so" ]
}

echoes() {
  local share=$folder/tree/share/lua/$version pid url
  export LUA_PATH="$share/?.lua;$share/?/init.lua" LUA_CPATH="$folder/tree/lib/lua/$version/?.so"
  timeout 300 "$lua" "$top/examples/lua/echo_server.lua" 0 >"$folder/url" &
  pid=$!
  for _ in $(seq 6000); do
    [ -s "$folder/url" ] && break
    sleep 0.01
  done
  url=$(sed 's/listening on //' "$folder/url")
  [ "$(echo hello | timeout 60 "$lua" "$top/examples/lua/echo_client.lua" "$url" | head -n 1)" = hello ]
  local status=$?
  kill $pid
  wait $pid 2>/dev/null
  return $status
}

check "has a rockspec without faults" lint
check "names the headers of OpenSSL when they are missing" names OPENSSL openssl/ssl.h
check "names the headers of zlib when they are missing" names ZLIB zlib.h
check "is packed without a network" pack
check "is installed from what was packed" install
check "has its files and no others" has_its_files
check "echoes where it was installed" echoes
echo "1..$count"
exit $failed
