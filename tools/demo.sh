#!/usr/bin/env bash
# Shows libws at work: a chat on this machine with guests in C, Python and Lua.
# Works from any folder, as often as you like; all that it makes stands under
# build/demo.
usage() {
  cat <<'END_OF_USAGE'
Usage: tools/demo.sh [--once] [--port N] [--host HOST] [--help]

Installs what is missing (Debian and Ubuntu, as root or through sudo, by apt),
builds the C library, the Python package and the rock, and starts a chat:
`libws serve --chat`. Three guests join, one in C, one in Python, one in Lua
(examples/demo), and are asked who hears. What everybody says is printed, until
Ctrl-C; open the address it shows in a browser to talk to them.

  --once       ends after the first answers; the exit status is 0 if all came
  --port N     the port (default: 8080; with --once a free one)
  --host HOST  the address to listen on (default: 127.0.0.1; :: for all)

Nothing else is fetched; once the packages are there, it works without a network.
A guest whose language cannot be built is left out, with a word why; with --once
that is a failure.
END_OF_USAGE
}

set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

is_once=
port=
host=127.0.0.1
while [ $# -gt 0 ]; do
  case $1 in
  --once) is_once=yes ;;
  --port) port=${2?--port needs a number} && shift ;;
  --host) host=${2?--host needs an address} && shift ;;
  --help | -h) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
  esac
  shift
done
[ -n "$port" ] || { [ -n "$is_once" ] && port=0 || port=8080; }

readonly out=$PWD/build/demo
readonly libws=$out/prefix/bin/libws
guests=()

give_up() {
  printf '%s\n' "$@" >&2
  exit 1
}

# -- What is needed ----------------------------------------------------------------

has() { command -v "$1" >/dev/null; }
has_library() { pkg-config --exists "$1" 2>/dev/null; }

# Whether the Python package can be built with what is installed; pyproject.toml
# names the version.
has_setuptools() {
  python3 -c 'import setuptools, wheel
assert [int(n) for n in setuptools.__version__.split(".")[:2]] >= [66, 1]' 2>/dev/null
}

# Prints the Debian packages that are missing for the chat and its guest in C.
missing_for_c() {
  has cmake || echo cmake
  has make || echo make
  has gcc || echo gcc libc6-dev
  has pkg-config || echo pkg-config
  has_library zlib || echo zlib1g-dev
  has_library 'libssl >= 3.0' || echo libssl-dev
  has_library libidn2 || echo libidn2-dev
}

# Prints those that are missing for the guests in Python and Lua.
missing_for_bindings() {
  has python3 || echo python3
  python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
  python3 -c 'import os, sysconfig
os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null || echo python3-dev
  has_setuptools || echo python3-setuptools python3-wheel
  has lua5.4 || echo lua5.4
  has_library lua5.4 || echo liblua5.4-dev
  has luarocks || echo luarocks
}

# apt_install PACKAGE...
apt_install() {
  local sudo=()
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  "${sudo[@]}" apt-get -q update # A broken third source is no matter.
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -q install -y --no-install-recommends "$@"
}

# What still misses afterwards shows when it is built.
install_missing() {
  local missing
  missing=$(
    missing_for_c
    missing_for_bindings
  )
  [ -n "$missing" ] || return 0
  missing=${missing//$'\n'/ }
  if ! has apt-get; then
    echo "Missing, and this is no Debian or Ubuntu: $missing"
    return
  elif [ "$(id -u)" -ne 0 ] && ! has sudo; then
    echo "Missing: $missing" "There is no sudo here: install them as root."
  else
    echo "Installing: $missing"
    # shellcheck disable=SC2086 # one word for each package
    apt_install $missing >"$out/install.log" 2>&1 && return
    tail -n 2 "$out/install.log"
    echo "This did not work. The packages come from the archive of the distribution, so a" \
      "network is needed once, or they have to be installed beforehand."
  fi
  missing=$(missing_for_c | xargs)
  [ -z "$missing" ] || give_up "There is no chat without these: $missing"
}

# -- Building ----------------------------------------------------------------------

# step NAME COMMAND... - the output goes to build/demo/NAME.log, and is shown if it
# fails.
step() {
  local name=$1
  shift
  "$@" >"$out/$name.log" 2>&1 && return
  tail -n 20 "$out/$name.log"
  return 1
}

# is_fresh NAME PATH... - whether NAME was built after the last change of PATHs.
is_fresh() {
  local stamp=$out/$1.stamp
  shift
  [ -e "$stamp" ] && [ -z "$(find "$@" -newer "$stamp" -print -quit)" ]
}

# Goes to a copy of the sources: setuptools and luarocks write beside what they
# read.
fresh_copy() {
  local copy=$out/$1-source
  rm -rf "$copy" && mkdir -p "$copy" && cp -R setup.py pyproject.toml MANIFEST.in \
    libws-scm-1.rockspec README.md LICENSE bindings libws python lua "$copy" && cd "$copy" || return
}

build_c() {
  cmake -S . -B "$out/c" -DWS_TESTS=OFF -DCMAKE_INSTALL_PREFIX="$out/prefix" \
    -DCMAKE_INSTALL_LIBDIR=lib &&
    cmake --build "$out/c" --parallel "$(nproc)" &&
    cmake --install "$out/c" || return
  local -x PKG_CONFIG_PATH=$out/prefix/lib/pkgconfig:${PKG_CONFIG_PATH-}
  # shellcheck disable=SC2046 # several words
  gcc -O2 examples/demo/guest.c -o "$out/guest" $(pkg-config --cflags --libs libws) \
    -Wl,-rpath,"$out/prefix/lib"
}

build_python() {
  is_fresh python setup.py pyproject.toml bindings/python libws python && return
  # A Python that is not the system's has setuptools from PyPI.
  local here=(--no-build-isolation --no-index)
  has_setuptools || here=()
  (fresh_copy python && python3 -m venv --clear --system-site-packages "$out/venv" &&
    "$out/venv/bin/pip" install --no-deps "${here[@]}" .) && touch "$out/python.stamp"
}

build_lua() {
  is_fresh lua libws-scm-1.rockspec bindings/lua libws lua && return
  (fresh_copy lua && luarocks --lua-version=5.4 --tree="$out/rocks" make) &&
    touch "$out/lua.stamp"
}

build() {
  echo "Building the library and its command (C) ..."
  step c build_c || give_up "This did not work, and there is no chat without it;" \
    "all of it is in build/demo/c.log."
  guests=(C)
  for language in Python Lua; do
    echo "Building the binding for $language ..."
    if step "${language,,}" "build_${language,,}"; then
      guests+=("$language")
    else
      echo "This did not work, so the chat has no guest in $language; all of it is in" \
        "build/demo/${language,,}.log."
    fi
  done
}

# -- The chat ----------------------------------------------------------------------

guest_C() { exec "$out/guest" "$@"; }
guest_Python() { exec "$out/venv/bin/python" examples/demo/guest.py "$@"; }
guest_Lua() {
  LUA_PATH="$out/rocks/share/lua/5.4/?.lua;$out/rocks/share/lua/5.4/?/init.lua;;" \
    LUA_CPATH="$out/rocks/lib/lua/5.4/?.so;;" exec lua5.4 examples/demo/guest.lua "$@"
}

# What the chat's server sends, for people; the name of who speaks stands first.
readable() {
  sed -u -n -e 's/^{"type":"said","name":"\([^"]*\)".*,"text":"\(.*\)"}$/\1: \2/; t tidy' \
    -e 's/^{"type":"joined","name":"\([^"]*\)".*/* \1 has joined/p' \
    -e 's/^{"type":"left","name":"\([^"]*\)".*/* \1 has left/p; b' \
    -e ': tidy; s/\\\(["\\]\)/\1/g; p'
}

# Waits until this has been printed.
wait_for() {
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    grep -q "$1" "$out/said.txt" && return
    kill -0 "$visitor" 2>/dev/null || return
    sleep 0.1
  done
  return 1
}

# Waits until each guest has said something with these words.
wait_for_guests() {
  local name
  for name in "${guests[@]}"; do
    wait_for "^$name: .*$1" || { echo "$name did not answer." && return 1; }
  done
}

say() { printf '%s\n' "{\"type\":\"say\",\"text\":\"$1\"}" >&3; }

# The server tells the guests, which end with it.
stop() {
  trap '' INT TERM
  exec 3>&-
  [ -z "${server-}" ] || kill "$server" 2>/dev/null
  wait
}

start_server() {
  rm -f "$out/server.txt" && : >"$out/server.txt"
  "$libws" serve --chat --quiet --host "$host" --port "$port" >"$out/server.txt" &
  server=$!
  local tries
  for ((tries = 0; tries < 600; tries++)); do
    url=$(sed -n 's/^listening on //p' "$out/server.txt")
    [ -z "$url" ] || return 0
    kill -0 "$server" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}

# Joins the chat as Ada, who speaks through descriptor 3 and whose view of it is
# printed.
start_visitor() {
  rm -f "$out/ada" && mkfifo "$out/ada" && : >"$out/said.txt"
  { "$libws" connect "$1" --send '{"type":"join","name":"Ada"}' --wait forever \
    2>"$out/ada.log" <"$out/ada" | readable | tee "$out/said.txt"; } &
  visitor=$!
  exec 3>"$out/ada"
}

chat() {
  local name here
  start_server || give_up "The server did not start; is port $port in use? --port names another."
  here=${url/0.0.0.0/127.0.0.1}
  here=${here/\[::\]/127.0.0.1}
  echo
  echo "The chat is at ${here/ws:/http:}/"
  echo
  start_visitor "$here"
  wait_for 'Ada has joined' || return
  for name in "${guests[@]}"; do
    "guest_$name" "$here" "$name" 3>&- &
  done
  wait_for_guests 'Hello from' || return
  say "Who hears me? ${guests[*]/#/@}"
  wait_for_guests 'Ada, I have heard' || return
  if [ -n "$is_once" ]; then
    [ ${#guests[@]} -eq 3 ]
    return
  fi
  echo
  echo "Open ${here/ws:/http:}/ in a browser and say something. Ctrl-C ends it."
  echo
  trap 'exit 0' INT TERM
  wait "$visitor"
}

main() {
  mkdir -p "$out"
  install_missing
  build
  trap 'exit 130' INT TERM
  trap stop EXIT
  set -m # What runs in the background is not in the way of Ctrl-C.
  chat
}

main
