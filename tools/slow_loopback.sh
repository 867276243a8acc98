#!/usr/bin/env bash
# Finds tests that believe in the speed of the loopback. On a machine that is busy
# packets of 127.0.0.1 come late, too, but only now and then.
usage() {
  cat <<'END'
Usage: tools/slow_loopback.sh [--mtu BYTES] [--rate RATE] COMMAND [ARGUMENT]...

Runs the command where each packet of the loopback takes its time (a network
namespace of its own with a token bucket in which no packet counts less than 1,600
bytes), where no other host is and no name can be looked up. As root, on Linux,
with iproute2. For example:

  tools/slow_loopback.sh --rate 100mbit ctest --test-dir build/test/gcc-release

  --mtu BYTES  of the loopback (default: 65536)
  --rate RATE  as tc(8) has it (default: 100mbit)
END
}

set -u
mtu=65536 rate=100mbit
while [ $# -gt 0 ]; do
  case $1 in
  --mtu) mtu=$2; shift ;;
  --rate) rate=$2; shift ;;
  --help | -h) usage; exit 0 ;;
  -*) usage >&2; exit 2 ;;
  *) break ;;
  esac
  shift
done
[ $# -gt 0 ] || { usage >&2; exit 2; }

# shellcheck disable=SC2016 # for the inner shell
exec unshare --net bash -c '
  mtu=$1 rate=$2
  shift 2
  ip link set lo mtu "$mtu" up &&
    tc qdisc add dev lo root stab overhead 1500 mpu 1600 mtu 70000 tsize 1024 \
      tbf rate "$rate" burst $((mtu + 1700)) latency 60s || exit 1
  exec "$@"' bash "$mtu" "$rate" "$@"
