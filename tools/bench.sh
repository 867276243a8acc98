#!/usr/bin/env bash
# Compares libws with other WebSocket servers: builds what bench/servers has, and
# runs bench/servers/run.py, which has the options (--help). Works from any folder;
# all that it makes stands under build/bench-peers and build/bench.
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

readonly servers=$PWD/bench/servers
readonly out=$PWD/build/bench-peers
readonly bin=$out/bin
readonly run=$servers/run.py

# -- What is needed ----------------------------------------------------------------

has() { command -v "$1" >/dev/null; }
has_library() { pkg-config --exists "$1" 2>/dev/null; }

# Prints the Debian packages that are missing. Go and Rust, whose versions in Debian
# are often too old, are used if they are there.
missing_packages() {
  has cmake || echo cmake
  has make || echo make
  has gcc || echo gcc libc6-dev
  has g++ || echo g++
  has pkg-config || echo pkg-config
  has taskset || echo util-linux
  has openssl || echo openssl
  has_library zlib || echo zlib1g-dev
  has_library 'libssl >= 3.0' || echo libssl-dev
  has_library libwebsockets || echo libwebsockets-dev
  has node || echo nodejs
  has npm || echo npm
}

# What cannot be installed shows as peers that are left out.
install_missing() {
  local missing sudo=()
  missing=$(missing_packages | xargs)
  [ -n "$missing" ] && has apt-get || return 0
  [ "$(id -u)" -eq 0 ] || sudo=(sudo)
  echo "Installing: $missing"
  # shellcheck disable=SC2086 # one word for each package
  { "${sudo[@]}" apt-get -q update
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get -q install -y --no-install-recommends $missing; } \
    >"$out/install.log" 2>&1 || echo "Could not install all; see $out/install.log"
}

# -- The peers ---------------------------------------------------------------------
# build_NAME builds a peer of run.py into $bin; its last line is the version.

c_target() {
  cmake -S . -B "$out/c" -DCMAKE_BUILD_TYPE=Release -DWS_BENCH=ON -DWS_TESTS=OFF \
    -DCMAKE_RUNTIME_OUTPUT_DIRECTORY="$bin" &&
    cmake --build "$out/c" --parallel "$(nproc)" --target "$@"
}

# The limits, the load generator, and a certificate for those with TLS.
build_raw() {
  c_target bench_load raw_echo raw_tls_echo &&
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
      -subj /CN=127.0.0.1 -keyout "$out/key.pem" -out "$out/cert.pem" &&
    echo # It has no version.
}

build_libws() {
  c_target libws-cli &&
    awk '/define WS_VERSION_/ { version = version dot $3; dot = "." } END { print version }' \
      libws/include/ws/base.h
}

build_libwebsockets() { c_target lws_echo && pkg-config --modversion libwebsockets | tr -d -; }

# Prints the folder that cargo unpacked a crate in, a dependency of the package here.
crate_folder() {
  cargo metadata --format-version 1 --filter-platform "$(rustc -vV | sed -n 's/^host: //p')" |
    python3 -c 'import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(*(os.path.dirname(p["manifest_path"]) for p in packages if p["name"] == sys.argv[1]))' "$1"
}

build_uwebsockets() {
  local crate usockets flags=(-O3 -flto=auto -DLIBUS_USE_OPENSSL)
  fresh_copy uwebsockets &&
    crate=$(crate_folder libuwebsockets-sys) && [ -n "$crate" ] || return
  usockets=$crate/uWebSockets/uSockets/src
  gcc "${flags[@]}" -std=gnu11 -I"$usockets" -c "$usockets"/*.c \
    "$usockets/eventing/epoll_kqueue.c" "$usockets/crypto/openssl.c" "$servers/common/peer.c" &&
    g++ "${flags[@]}" -std=c++20 -isystem "$usockets" -isystem "$crate/uWebSockets/src" \
      -o "$bin/uws_echo" "$servers/uwebsockets/echo.cpp" "$usockets/crypto/sni_tree.cpp" ./*.o \
      -lssl -lcrypto -lz &&
    echo "libuwebsockets-sys ${crate##*-}"
}

# go_peer NAME MODULE
go_peer() {
  cd "$servers/go" && go build -o "$bin/$1_echo" "./$1" &&
    go list -m -f '{{.Version}}' "$2"
}

build_gws() { go_peer gws github.com/lxzan/gws; }
build_gorilla() { go_peer gorilla github.com/gorilla/websocket; }

# rust_peer NAME CRATE
rust_peer() {
  fresh_copy rust &&
    cargo build --release --target-dir "$out/cargo" --bin "$1_echo" &&
    cp "$out/cargo/release/$1_echo" "$bin" &&
    sed -n "s/^$2 = .*\"=\([0-9.]*\)\".*/\1/p" Cargo.toml
}

build_fastwebsockets() { rust_peer fastwebsockets fastwebsockets; }
build_tungstenite() { rust_peer tungstenite tokio-tungstenite; }

build_ws() {
  fresh_copy node && npm install --no-audit --no-fund --no-package-lock &&
    node -p 'require("ws/package.json").version'
}

# Goes to a copy of a folder of bench/servers: cargo and npm write beside what they
# read, and what they write names the registry they used.
fresh_copy() {
  mkdir -p "$out/$1" && cp -R "$servers/$1/." "$out/$1" && cd "$out/$1" || return
}

# What each peer is built with, beside a C compiler.
needs() {
  case $1 in
  uwebsockets | fastwebsockets | tungstenite) echo cargo ;;
  gws | gorilla) echo go ;;
  ws) echo npm ;;
  esac
}

build_peer() {
  local name=$1 log=$out/$1.log tool
  tool=$(needs "$name")
  rm -f "$out/versions/$name"
  if [ -n "$tool" ] && ! has "$tool"; then
    echo "left out: $name, which needs $tool"
  elif ("build_$name") >"$log" 2>&1; then
    tail -n 1 "$log" >"$out/versions/$name"
  else
    echo "left out: $name, which could not be built; see $log"
  fi
}

# -- The run -----------------------------------------------------------------------

for argument in "$@"; do
  case $argument in
  --help | -h | --list | --again*) exec python3 "$run" "$@" ;;
  esac
done
# Prints "Peers:", their names, "Rows:" and theirs; or says what is wrong.
list=$(python3 "$run" "$@" --list) || exit
mkdir -p "$bin" "$out/versions"
install_missing
for name in $(sed -n '/^Peers:/,/^Rows:/s/^  //p' <<<"$list"); do
  build_peer "$name"
done >&2
exec python3 "$run" "$@"
