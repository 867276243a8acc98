#!/usr/bin/env bash
# Makes every package of libws and tries each from outside of the tree.
usage() {
  cat <<'END'
Usage: tools/package.sh [--quick] [--help]

Makes in build/package/dist:
  - the sdist of Python, a wheel, and that wheel with its libraries inside
    (auditwheel), which runs on other Linux systems of this age too,
  - the binary rock, for the Lua that luarocks is for,
  - libws-VERSION-Linux.tar.gz, and on Debian libws0 and libws-dev,
  - libws.cdx.json: what libws is made of (CycloneDX).
Then installs each where nothing of libws is: a new Python environment, a new tree
of rocks, an empty root; compiles and runs programs with it; removes it and looks
that nothing stays. Two wheels, of the tree and of the sdist, have to be the same
bytes.

  --quick  makes no rock, and does not compare wheels.

Needs cmake, a C compiler, the headers of Python, OpenSSL and zlib, luarocks, and for
.deb dpkg-dev and file; what else it takes comes from PyPI (packaging/requirements.txt).
The last line is "N passed, N failed".
END
}

set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
readonly top=$PWD out=$PWD/build/package
readonly dist=$out/dist venv=$out/venv source=$out/source

is_quick=
while [ $# -gt 0 ]; do
  case $1 in
  --quick) is_quick=yes ;;
  --help | -h) usage; exit 0 ;;
  *) usage >&2; exit 2 ;;
  esac
  shift
done

passed=0
failed=0
# check NAME COMMAND... - runs it quietly and counts it; says what it wrote if it
# fails. Whether it passed stands in is_ok: in a condition `set -e` has no effect.
check() {
  local name=$1 log=$out/$1.log
  shift
  (set -e; "$@") >"$log" 2>&1 &
  wait $! && is_ok=yes || is_ok=
  if [ -n "$is_ok" ]; then
    passed=$((passed + 1))
    echo "ok $name"
  else
    failed=$((failed + 1))
    tail -n 60 "$log"
    echo "not ok $name (all of it: $log)"
  fi
}

# The same time in all that is packed: that of the last change.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)
export SOURCE_DATE_EPOCH PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1

# -- Python ----------------------------------------------------------------------

# make_venv FOLDER REQUIREMENTS - unless it stands already.
make_venv() {
  cmp -s "$2" "$1/requirements.txt" && return
  python3 -m venv --clear "$1"
  "$1/bin/pip" install --quiet -r "$2"
  cp "$2" "$1/requirements.txt"
}

# copy_tree FOLDER - what the package is built of; setuptools builds beside its
# sources.
copy_tree() {
  rm -rf "$1"
  mkdir -p "$1/bindings"
  cp -R libws python setup.py pyproject.toml MANIFEST.in README.md LICENSE CHANGELOG.md "$1"
  cp -R bindings/python "$1/bindings"
  find "$1" -name __pycache__ -prune -exec rm -rf {} +
}

# made PATTERN - the file in $dist that matches.
made() { find "$dist" -name "$1" | head -n 1; }

sdist() {
  make_venv "$venv" packaging/requirements.txt
  copy_tree "$source"
  "$venv/bin/python" -m build --quiet --sdist --outdir "$out/sdist" "$source"
  repack "$out"/sdist/*.tar.gz "$dist"
}

# repack TARBALL FOLDER - puts the same files there, in a fixed order and with nothing
# of who packed them when.
repack() {
  local files=$out/repacked name
  name=$(basename "$1")
  rm -rf "$files"
  mkdir "$files"
  tar -x -C "$files" -f "$1"
  tar -c -C "$files" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --mode=u=rwX,go=rX \
    --owner=0 --group=0 --numeric-owner "${name%.tar.gz}" | gzip -9n >"$2/$name"
}

# Of the sdist, in a folder of its own name.
wheel() {
  "$venv/bin/pip" wheel --quiet --no-deps --wheel-dir "$out/wheel" "$(made "libws-*[0-9].tar.gz")"
}

# The oldest setuptools that pyproject.toml allows understands it.
oldest_setuptools() {
  sed -n 's/^requires = \["setuptools>=\(.*\)"\]/setuptools==\1.*/p' pyproject.toml >"$out/oldest.txt"
  [ -s "$out/oldest.txt" ]
  PIP_CONSTRAINT=$out/oldest.txt "$venv/bin/pip" install --quiet --dry-run --no-deps \
    "$(made "libws-*[0-9].tar.gz")"
}

wheel_again() {
  copy_tree "$out/elsewhere"
  "$venv/bin/pip" wheel --quiet --no-deps --wheel-dir "$out/wheel-again" "$out/elsewhere"
  cmp "$out"/wheel/*.whl "$out"/wheel-again/*.whl
}

repair() {
  PATH=$venv/bin:$PATH "$venv/bin/auditwheel" repair --wheel-dir "$dist" "$out"/wheel/*.whl
}

# In an environment with nothing but the wheel, from a folder that is not ours; then
# the rows that say what fails a connection, with the runner beside it.
wheel_works() {
  local clean=$out/clean tests=$out/tests
  rm -rf "$clean" "$tests"
  python3 -m venv "$clean"
  "$clean/bin/pip" install --quiet --no-index "$(made "libws-*linux*.whl")"
  cd /
  "$clean/bin/python" "$top/packaging/try_python.py"
  "$clean/bin/python" -m libws --version
  grep -E '^(pytest|uvloop)' "$top/tests/python/requirements.txt" >"$out/requirements.txt"
  "$clean/bin/pip" install --quiet -r "$out/requirements.txt"
  mkdir "$tests"
  cp "$top"/tests/python/{conftest,core_peers,core_run,row_link,test_rows_failures}.py "$tests"
  cd "$tests"
  "$clean/bin/python" -m pytest -q -p no:cacheprovider
  "$clean/bin/pip" uninstall --quiet --yes libws
  [ -z "$(find "$clean" -name '*libws*')" ]
}

editable_works() {
  local clean=$out/clean-editable
  rm -rf "$clean"
  python3 -m venv "$clean"
  copy_tree "$out/editable"
  "$clean/bin/pip" install --quiet --editable "$out/editable"
  cd /
  "$clean/bin/python" "$top/packaging/try_python.py"
  "$clean/bin/python" -c "import libws; assert libws.__file__.startswith('$out/editable/python/')"
}

# -- Lua -------------------------------------------------------------------------

rock() {
  local rocks=$out/rocks
  rm -rf "$out/rock" "$rocks" "$out/rocks-made"
  mkdir "$out/rock"
  # luarocks builds in the folder it is called in, and takes the tree from git.
  cp -R libws bindings lua libws-scm-1.rockspec README.md LICENSE "$out/rock"
  cd "$out/rock"
  luarocks --tree "$out/rocks-made" make libws-scm-1.rockspec
  luarocks --tree "$out/rocks-made" pack libws
  repack_rock libws-scm-1.*.rock "$dist"
  cd /
  luarocks --tree "$rocks" install "$(made "libws-scm-1.*.rock")"
  eval "$(luarocks --tree "$rocks" path)"
  "$(luarocks config variables.LUA 2>/dev/null || echo lua)" "$top/packaging/try_lua.lua"
  luarocks --tree "$rocks" remove libws
  [ -z "$(find "$rocks" -name '*libws*')" ]
}

# repack_rock ROCK FOLDER - as repack; a rock is a zip.
repack_rock() {
  unzip -q -d repacked "$1"
  find repacked -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
  (cd repacked && find . -type f | LC_ALL=C sort | TZ=UTC zip -q -X -@ "$2/$1")
}

# -- C ---------------------------------------------------------------------------

c_packages() {
  cmake -S . -B "$out/c" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr \
    -DWS_WERROR=ON -DWS_TESTS=OFF
  cmake --build "$out/c" --parallel "$(nproc)"
  cd "$out"
  cpack --config c/CPackConfig.cmake -B "$dist"
  rm -rf "$dist/_CPack_Packages"
}

# consume PREFIX - builds and runs a program with what stands there, in each way.
consume() {
  local kind
  for kind in shared static; do
    tests/package/pkg_config.sh "$1" "$out/consumer" $kind
  done
  LD_LIBRARY_PATH=$(dirname "$(find "$1" -name libws.so)") "$1/bin/libws" --version
}

tarball_works() {
  rm -rf "$out/tarball"
  mkdir "$out/tarball"
  tar -x -C "$out/tarball" --strip-components=1 -f "$(made "libws-*-Linux.tar.gz")"
  consume "$out/tarball/usr"
}

# Installs into an empty root, whose dpkg knows of nothing else; uninstalls.
debs_work() {
  local root=$out/root debs
  debs=("$(made "libws0_*.deb")" "$(made "libws-dev_*.deb")")
  rm -rf "$root"
  mkdir -p "$root/var/lib/dpkg/"{updates,info}
  touch "$root/var/lib/dpkg/"{status,available}
  in_root() {
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(fakeroot)
    PATH=$PATH:/usr/sbin:/sbin "${as_root[@]}" dpkg --root="$root" --force-not-root \
      --force-script-chrootless --force-depends --log="$out/dpkg.log" "$@"
  }
  in_root --install "${debs[@]}"
  consume "$root/usr"
  in_root --purge libws-dev libws0
  rest=$(find "$root" -path "$root/var/lib/dpkg" -prune -o -type f -print)
  [ -z "$rest" ] || { echo "left behind: $rest"; return 1; }
}

uninstall_works() {
  rm -rf "$out/prefix"
  cmake --install "$out/c" --prefix "$out/prefix"
  consume "$out/prefix"
  cmake --build "$out/c" --target uninstall
  rest=$(find "$out/prefix" -type f -o -name '*ws*')
  [ -z "$rest" ] || { echo "left behind: $rest"; return 1; }
}

sbom() {
  python3 packaging/sbom.py >"$dist/libws.cdx.json"
  python3 - "$dist/libws.cdx.json" <<'END'
import json, sys
sbom = json.load(open(sys.argv[1]))
assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.5")
names = {one["name"]: one["version"] for one in sbom["components"]}
assert names.keys() == {"openssl", "zlib", "libidn2"}, names
END
}

# -- All of it -------------------------------------------------------------------

mkdir -p "$out"
rm -rf "$dist" "$out/sdist" "$out/wheel" "$out/wheel-again"
mkdir "$dist"

check sbom sbom
check c-packages c_packages
if [ -n "$is_ok" ]; then
  check tarball tarball_works
  [ ! -e /etc/debian_version ] || check debs debs_work
  check uninstall uninstall_works
fi
check sdist sdist
[ -z "$is_ok" ] || check wheel wheel
if [ -n "$is_ok" ]; then
  [ -n "$is_quick" ] || check wheel-again wheel_again
  check oldest-setuptools oldest_setuptools
  check wheel-repaired repair
  [ -z "$is_ok" ] || check wheel-works wheel_works
fi
check editable editable_works
[ -n "$is_quick" ] || check rock rock

(cd "$dist" && sha256sum -- *)
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
