#!/usr/bin/env bash
# Builds and runs the consumer against an installed libws through pkg-config.
#
#   pkg_config.sh PREFIX OUTPUT_FOLDER shared|static
set -eu -o pipefail
here=$(dirname "${BASH_SOURCE[0]}")
prefix=$1 out=$2 kind=$3

pc=$(find "$prefix" -name libws.pc)
export PKG_CONFIG_PATH=${pc%/*}
mkdir -p "$out"

flags=$(pkg-config --cflags --libs libws)
if [ "$kind" = static ]; then
  # libws alone is linked statically; -lws would find the shared library first.
  private=$(pkg-config --print-requires-private libws)
  # shellcheck disable=SC2086 # one word for each package
  flags="${flags/-lws/-l:libws.a} $(pkg-config --libs $private)"
fi
read -r -a flags <<<"$flags"
"${CC:-cc}" -std=c11 "$here/consumer.c" -o "$out/$kind" "${flags[@]}"

if [ "$kind" = static ] && readelf -d "$out/static" | grep -q 'libws\.so'; then
  echo "the static consumer needs libws.so"
  exit 1
fi
LD_LIBRARY_PATH=$(pkg-config --variable=libdir libws) "$out/$kind"
