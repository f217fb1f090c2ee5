#!/usr/bin/env bash
# Proves the promises with the numbers of a night, one step after the other, and
# ends with a table of what was counted. Goes on after a step that fails and
# says so in the table; the exit status is 1 then.
#
#   SANAD_SOAK_SCALE=0.1   a tenth of the numbers (packages other than proof then
#                          take those of every change)
#   SANAD_SOAK_ONLY=P0     only steps whose promises match this
#
# What was printed is kept in bin/soak: a log for each step, and table.txt.
set -uo pipefail
cd "$(dirname "$0")/.."
scale=${SANAD_SOAK_SCALE:-1}
only=${SANAD_SOAK_ONLY:-.}
out=$PWD/bin/soak
mkdir -p "$out"
rm -f "$out"/*.log "$out"/*.txt
export SANAD_PROOF_LOG=$out/proof.txt SANAD_SOAK_SCALE=$scale
export SANAD_REQUIRE_STRACE=${SANAD_REQUIRE_STRACE-1} SANAD_REQUIRE_POSTGRES=${SANAD_REQUIRE_POSTGRES-1}
: >"$SANAD_PROOF_LOG"
began=$SECONDS
failed=0

since() { printf '%d:%02d' $(((SECONDS - $1) / 3600)) $(((SECONDS - $1) % 3600 / 60)); }

# step PROMISES PACKAGE TESTS COUNTS runs the tests of a package that prove
# promises. A test that reports for itself (PROOF lines) needs no COUNTS; for the
# others COUNTS is what stands in the table, for a night.
step() {
  local promises=$1 package=$2 tests=$3 counts=${4-}
  [[ "$promises" =~ $only ]] || return 0
  local log start=$SECONDS night=1
  log=$out/$(echo "$promises-$package" | tr -c 'A-Za-z0-9\n' '-' | tr -s '-').log
  if [ "$package" != ./proof ] && awk "BEGIN{exit !($scale < 1)}"; then night=0; counts=${counts:+"of every change"}; fi
  printf '%s  %-14s %s %s ...\n' "$(since "$began")" "$promises" "$package" "$tests"
  SANAD_SOAK=$([ "$night" = 1 ] && echo 1) go test -count=1 -timeout 14h -v -run "$tests" "$package" >"$log" 2>&1
  local status=$? result=0
  if [ $status != 0 ]; then
    result=FAILED
    failed=1
    grep -E '^ *--- FAIL|^FAIL|panic:' "$log" | head -20
  elif ! grep -q -- '^--- PASS' "$log"; then
    result="NOT RUN"
    failed=1
  fi
  grep -hoE 'PROOF .*' "$log" || true
  if [ -n "$counts" ] || [ "$result" != 0 ]; then
    local engine
    for engine in $(grep -oE -- '--- (PASS|FAIL): [^ ]*/(sqlite|postgres)[^ ]* ' "$log" | grep -oE 'sqlite|postgres' | sort -u | grep . || echo -); do
      echo "PROOF $promises $engine ${counts:-see $(basename "$log")} violations=$result" | tee -a "$SANAD_PROOF_LOG"
    done
  fi
  printf '%s  %-14s done in %s\n' "$(since "$began")" "$promises" "$(since "$start")"
}

go build ./... || exit 1
step P01,P05,P07 ./proof '^TestKilled$'
step P02,DB-03 ./proof '^TestFileFaults$'
step DB-02 ./proof '^TestDiskFull$'
step DB-04,DB-09,P26 ./proof '^(TestFileIsTakenAway|TestStartsOnWhatItKnows)$'
step P04 ./proof '^TestSlotsOnce$'
step P05 ./proof '^TestRevocationsStay$'
step P07 ./proof '^TestListsNeverGoBack$'
step P12 ./proof '^TestRepliesAreLost$'
step P01-batch ./proof '^TestBatchOfMillion$'
while IFS='|' read -r promises package tests counts; do
  case $promises in '' | '#'*) continue ;; esac
  # shellcheck disable=SC2086
  step $promises "$package" "$tests" "$counts"
done <scripts/soak.plan

# Everything else at its nightly number, so that nothing is forgotten.
if [ "$only" = . ]; then
  for package in $(go list ./... | sed "s#^$(go list -m)#.#" | grep -v '^./proof$'); do
    [ -n "$(find "$package" -maxdepth 1 -name '*_test.go' -print -quit)" ] || continue
    grep -q "|$package|" scripts/soak.plan && continue
    step "tests" "$package" . "all tests"
  done
fi

{
  printf '%-16s %-9s %-60s %s\n' promise store counts violations
  sed -E 's/^PROOF ([^ ]+) ([^ ]+) (.*) violations=(.*)$/\1|\2|\3|\4/' "$SANAD_PROOF_LOG" |
    awk -F'|' '{printf "%-16s %-9s %-60s %s\n", $1, $2, $3, $4}'
  echo
  echo "$(date -u +%Y-%m-%dT%H:%MZ), scale $scale, $(nproc) cores, $(since "$began") hours; $(go version | cut -d' ' -f3); commit $(git rev-parse --short HEAD 2>/dev/null)"
} | tee "$out/table.txt"
exit $failed
