#!/usr/bin/env bash
# Makes sure that what `make test` needs is there: as root it installs missing
# parts from the distribution's packages, otherwise it names them in one line.
set -euo pipefail
missing=()
command -v gcc >/dev/null || missing+=(gcc)
[ -e /usr/include/stdlib.h ] || missing+=(libc6-dev)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "installing for the race detector: ${missing[*]}" >&2
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >/dev/null
  else
    echo "make test needs these packages (the race detector uses them): ${missing[*]}" >&2
    exit 1
  fi
fi
