#!/usr/bin/env bash
# Installs the package and runs the tests of tests/python with it. What is made
# stands under build/python.
usage() {
  cat <<'END'
Usage: tests/python/run.sh [--quick] [PYTEST ARGUMENT]...

Makes a Python environment in build/python/venv with what is listed in
requirements.txt (PyPI), builds and installs libws into it from this folder, and
runs pytest.

  --quick  leaves out the tests marked `heavy`.

Needs python3 with venv and headers, a C compiler, and the headers of OpenSSL and
zlib.
END
}

set -u -o pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
readonly here top out=$top/build/python
readonly venv=$out/venv

arguments=()
while [ $# -gt 0 ]; do
  case $1 in
  --quick) arguments+=(-m 'not heavy') ;;
  --help | -h) usage; exit 0 ;;
  *) arguments+=("$1") ;;
  esac
  shift
done

make_venv() {
  cmp -s "$here/requirements.txt" "$out/requirements.txt" && return
  python3 -m venv --clear "$venv" &&
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" &&
    cp "$here/requirements.txt" "$out/requirements.txt"
}

# Builds from a copy: setuptools leaves its products beside the sources.
install_package() {
  rm -rf "$out/source" && mkdir -p "$out/source"/{bindings,cli} &&
    cp -R "$top"/{libws,python,setup.py,pyproject.toml,MANIFEST.in,README.md,LICENSE} "$out/source" &&
    cp -R "$top/bindings/python" "$out/source/bindings" &&
    cp "$top/cli/chat.html" "$out/source/cli" && # A link of the package leads there.
    "$venv/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "$out/source" &&
    rm -rf "$out/source"
}

prepare() {
  mkdir -p "$out" && make_venv && install_package
}

prepare || { echo "tests/python: could not prepare; what is missing comes from PyPI, by a network" >&2; exit 1; }
cd "$here" || exit 1
PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" -m pytest \
  --junitxml="$out/results.xml" ${arguments[@]+"${arguments[@]}"}
