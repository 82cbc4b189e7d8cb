#!/usr/bin/env bash
# Rebuilds the bundled programs (firmware/hello, firmware/tests) and compares the results with the committed binaries.
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

for name in hello tests; do
  make --silent --always-make -C "$name" CROSS="$cross" OUT="$out"
  theirs="$(cat "$name/COMPILER")"
  if cmp -s "$out/$name.img" "$name/$name.img"; then
    echo "firmware: $name.img is what its source gives"
  elif [ "$mine" != "$theirs" ]; then
    echo "firmware: not compared: $name.img was built by $theirs, here is $mine; the source compiles"
  else
    echo "firmware: $name.img differs from what its source gives; run 'make release' in firmware/$name" >&2
    status=1
  fi
done
exit $status
