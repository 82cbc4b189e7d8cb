#!/usr/bin/env bash
# Rebuilds firmware/hello and compares the result with the committed binary.
# Fails when they differ and the compiler is the one that made the committed binary (hello/COMPILER); another compiler makes
# other bytes, so then, and without a cross compiler, it only says so. CROSS sets the prefix of the tools.
set -eu
cd "$(dirname "$0")/hello"
cross="${CROSS:-aarch64-linux-gnu-}"

if ! command -v "${cross}gcc" >/dev/null || ! command -v "${cross}objcopy" >/dev/null; then
  echo "firmware: not checked: there is no ${cross}gcc (Debian: gcc-aarch64-linux-gnu)"
  exit 0
fi

out="$(mktemp -d)"
trap 'rm -rf "$out"' EXIT
make --silent --always-make CROSS="$cross" OUT="$out"

if cmp -s "$out/hello.img" hello.img; then
  echo "firmware: hello.img is what its source gives"
  exit 0
fi
mine="$("${cross}gcc" --version | head -n 1)"
theirs="$(cat COMPILER)"
if [ "$mine" != "$theirs" ]; then
  echo "firmware: not compared: hello.img was built by $theirs, here is $mine; the source compiles"
  exit 0
fi
echo "firmware: hello.img differs from what its source gives; run 'make release' in firmware/hello" >&2
exit 1
