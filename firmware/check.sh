#!/usr/bin/env bash
# Rebuilds the bundled programs (firmware/hello, tests, rme-matrix, labs, realm-hello, bench) and compares the results with the committed binaries.
# Fails when one differs and the compiler is the one that made the committed binary (its COMPILER file); another compiler makes
# other bytes, so then, and without a cross compiler, it only says so. CROSS sets the prefix of the tools.
set -eu
cd "$(dirname "$0")"
cross="${CROSS:-aarch64-linux-gnu-}"

if ! command -v "${cross}gcc" >/dev/null || ! command -v "${cross}objcopy" >/dev/null; then
  echo "firmware: not checked: there is no ${cross}gcc (Debian: gcc-aarch64-linux-gnu)"
  exit 0
fi

out="$(mktemp -d)"
trap 'rm -rf "$out"' EXIT
mine="$("${cross}gcc" --version | head -n 1)"
status=0

# compare NAME BUILT COMMITTED: what a folder's source gives, and what is committed there
compare() {
  theirs="$(cat "$1/COMPILER")"
  if cmp -s "$2" "$3"; then
    echo "firmware: $3 is what its source gives"
  elif [ "$mine" != "$theirs" ]; then
    echo "firmware: not compared: $3 was built by $theirs, here is $mine; the source compiles"
  else
    echo "firmware: $3 differs from what its source gives; run 'make release' in firmware/$1" >&2
    status=1
  fi
}

for name in hello tests rme-matrix labs realm-hello bench; do
  make --silent --always-make -C "$name" CROSS="$cross" OUT="$out"
done
compare hello "$out/hello.img" hello/hello.img
compare tests "$out/tests.img" tests/tests.img
compare rme-matrix "$out/matrix.elf" rme-matrix/matrix.elf
compare realm-hello "$out/realm-hello.img" realm-hello/realm-hello.img
compare bench "$out/bench.img" bench/bench.img
for elf in labs/*/prebuilt/*.elf; do
  compare labs "$out/${elf#labs/}" "$elf"
done
exit $status
