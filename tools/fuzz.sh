#!/usr/bin/env bash
# Runs the fuzzers, each for some time, and says what they did.
usage() {
  cat <<'END'
Usage: tools/fuzz.sh [--help] [SECONDS] [NAME...]

Runs the fuzzers fuzz/fuzz_NAME.c for 60 seconds each, or SECONDS; without a name,
all of them. Needs clang.

New inputs go to build/fuzz/corpus/NAME, and from there by hand to
fuzz/corpus/NAME if they are worth keeping. A crash is saved in
build/fuzz/crashes/ and shown; run build/fuzz/build/fuzz/fuzz_NAME FILE to see it.
END
}

set -eu -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

case ${1-} in
--help | -h) usage; exit 0 ;;
-*) usage >&2; exit 2 ;;
esac
seconds=60
if [[ ${1-} =~ ^[0-9]+$ ]]; then
  seconds=$1
  shift
fi
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
  for source in fuzz/fuzz_*.c; do
    name=${source#fuzz/fuzz_}
    names+=("${name%.c}")
  done
fi

for name in "${names[@]}"; do
  [ -e "fuzz/fuzz_$name.c" ] || { echo "There is no fuzzer fuzz/fuzz_$name.c" >&2; exit 2; }
done

# Budgets: bytes of an input, seconds for one input, MiB in all and in one piece.
readonly budgets=(-max_len=16384 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256)
readonly out=build/fuzz
mkdir -p "$out/crashes"

build() {
  # Not as Release: asserts are among the things to break.
  CC=clang cmake -S . -B "$out/build" -DCMAKE_BUILD_TYPE=RelWithDebInfo \
    -DCMAKE_C_FLAGS_RELWITHDEBINFO="-O2 -g" -DWS_SANITIZE=address,undefined \
    -DWS_FUZZ=ON -DWS_TESTS=OFF &&
    cmake --build "$out/build" --parallel "$(nproc)"
}

build >"$out/build.log" 2>&1 || {
  tail -n 50 "$out/build.log"
  exit 1
}

status=0
printf '%-16s %12s %10s %10s\n' fuzzer executions coverage "new units"
for name in "${names[@]}"; do
  log=$out/$name.log
  mkdir -p "$out/corpus/$name"
  options=("${budgets[@]}" -max_total_time="$seconds" -print_final_stats=1
    -artifact_prefix="$out/crashes/$name-")
  [ ! -f "fuzz/$name.dict" ] || options+=(-dict="fuzz/$name.dict")
  # The first folder is the one that new inputs go to.
  found=0
  timeout -k 10 $((seconds + 120)) "$out/build/fuzz/fuzz_$name" "${options[@]}" \
    "$out/corpus/$name" "fuzz/corpus/$name" >"$log" 2>&1 || found=$?

  stat() { sed -n "s/^stat::$1: *//p" "$log"; }
  coverage=$(grep -o ' cov: [0-9]*' "$log" | tail -n 1 | tr -dc 0-9 || true)
  printf '%-16s %12s %10s %10s\n' "$name" "$(stat number_of_executed_units)" \
    "$coverage" "$(stat new_units_added)"
  if [ "$found" -ne 0 ]; then
    status=1
    grep -E 'ERROR|runtime error|Test unit written' "$log" || tail -n 20 "$log"
    echo "FAILED: $name, see $log"
  fi
done
exit $status
