#!/usr/bin/env bash
# Runs every fuzz target of the tree for the time given (default 60s), one after
# the other, and stops at the first finding. A finding's input is saved by go
# test under testdata/fuzz of the package: commit it with the repair.
#
# On a busy machine go test may call it a failure that the time was up while an input
# ran ("context deadline exceeded"). There is no input then, and the target runs again.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-60s}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
  grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go | sed 's/func //' | sort -u | while read -r target; do
    echo "== $dir $target ($time)"
    for try in 1 2 3; do
      go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 1x "$dir" 2>&1 | tee "$out" && break
      grep -q 'context deadline exceeded' "$out" && ! grep -q 'Failing input' "$out" && [ "$try" -lt 3 ] || exit 1
      echo "== $dir $target: no finding, the time was up; once more"
    done
  done
done
