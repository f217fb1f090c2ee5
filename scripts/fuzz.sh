#!/usr/bin/env bash
# Runs every fuzz target of the tree for the time given (default 60s), one after
# the other, and stops at the first finding. A finding's input is saved by go
# test under testdata/fuzz of the package: commit it with the repair.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-60s}
grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
  grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/func //' | sort -u | while read -r target; do
    echo "== $dir $target ($time)"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x "$dir"
  done
done
