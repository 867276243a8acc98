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

read -r -a cflags <<<"$(pkg-config --cflags libws)"
if [ "$kind" = shared ]; then
  read -r -a libs <<<"$(pkg-config --libs libws)"
else
  # -lws would find the shared library first.
  read -r -a libs <<<"$(pkg-config --static --libs libws | sed 's/-lws\>/-l:libws.a/')"
fi
"${CC:-cc}" -std=c11 "${cflags[@]}" "$here/consumer.c" -o "$out/$kind" "${libs[@]}"

if [ "$kind" = static ] && readelf -d "$out/static" | grep -q 'libws\.so'; then
  echo "the static consumer needs libws.so"
  exit 1
fi
LD_LIBRARY_PATH=$(pkg-config --variable=libdir libws) "$out/$kind"
