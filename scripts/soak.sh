#!/usr/bin/env bash
# Proves the promises with the numbers of a night, a few steps at a time, and ends
# with a table of what was counted. Goes on after a step that fails and says so in
# the table; the exit status is 1 then.
#
#   SANAD_SOAK_SCALE=0.1   a tenth of the numbers (packages other than proof then
#                          take those of every change)
#   SANAD_SOAK_ONLY=P0     only steps whose promises match this
#   SANAD_SOAK_JOBS=2      steps that run at the same time; usually one a core
#   SANAD_SOAK_FRESH=1     forget what is known of earlier runs
#   SANAD_SOAK_TABLE=1     print the table of what is known, and stop
#   SANAD_SOAK_KEEP=1      what earlier commits proved counts too; the table names them
#
# What was printed is kept in bin/soak: a log for each step, and table.txt. A step
# that came to its end without a violation leaves STEP.done, with its numbers and
# commit, and is not run again as long as nothing that it is about has changed: a
# night that was interrupted goes on where it was. One that spans changes ends with
# SANAD_SOAK_KEEP=1, which does not begin anew what stood on an earlier commit.
set -uo pipefail
cd "$(dirname "$0")/.."
scale=${SANAD_SOAK_SCALE:-1}
only=${SANAD_SOAK_ONLY:-.}
jobs=${SANAD_SOAK_JOBS:-$(nproc)}
kept=
[ "${SANAD_SOAK_KEEP-}" != 1 ] || kept='[0-9a-f]+'
out=$PWD/bin/soak
mkdir -p "$out"
[ "${SANAD_SOAK_FRESH-}" != 1 ] || rm -f "$out"/*
rm -f "$out/table.txt" "$out"/*.failed
export SANAD_SOAK_SCALE=$scale
export SANAD_REQUIRE_STRACE=${SANAD_REQUIRE_STRACE-1} SANAD_REQUIRE_POSTGRES=${SANAD_REQUIRE_POSTGRES-1}
began=$SECONDS
commit=$(git rev-parse --short=10 HEAD 2>/dev/null || echo unknown)
# tree PACKAGE prints a digest of what the numbers of its tests are about: the files
# of every package of ours that it is built from, and of the programs where its
# tests start them. Package proof starts issuer for the work of the ladder, so
# that pages, servers (but for their publishing beside a fail-over) and paper are no part of what it proves.
module=$(go list -m)
tree() {
  local about=("$1") beside='^$'
  case $1 in
  ./proof)
    about+=(./cmd/issuer)
    beside='^(web|api|oid4vci|oid4vp|did|staff|wallet|batchwork|work|figures|verification|store/(desk|parties)|internal/(docpdf|web|webpage|i18n)|cmd/issuer/(console|serve|pocket|desk|staff|managers|print|offer|certificates))(/|\.|$)'
    ;;
  ./interop | ./bench | ./cmd/*) about+=(./cmd/...) ;;
  esac
  {
    echo go.mod
    echo go.sum
    find "$1" -maxdepth 1 -name '*_test.go'
    go list -deps -test -f '{{if .Module}}{{if .Module.Main}}{{.ImportPath}}{{end}}{{end}}' "${about[@]}" |
      sed -E "s/ .*//; /[._]test\$/d; s#^$module/##; s#^$module\$#.#" | LC_ALL=C sort -u | while read -r directory; do
      git ls-files -co --exclude-standard -- "$directory" ':!*.md' ':!*.go'
      find "$directory" -maxdepth 1 -name '*.go' ! -name '*_test.go'
    done
  } | grep -vE "$beside" | LC_ALL=C sort -u | tr '\n' '\0' | xargs -0 sha256sum 2>/dev/null | sha256sum | cut -c1-16
}
names=() # of the steps, in their order

# A process that is killed leaves what the kernel has, on whatever file system; a
# file system in memory does not wait for a disk at every commit.
memory=
if [ "$(stat -f -c %T /dev/shm 2>/dev/null)" = tmpfs ] && [ "$(($(stat -f -c '%a * %S' /dev/shm)))" -gt $((4 << 30)) ]; then
  memory=$(mktemp -d /dev/shm/sanad-soak-XXXXXX)
  chmod 711 "$memory"
fi
trap '[ -z "$memory" ] || rm -rf "$memory"' EXIT

since() { printf '%d:%02d' $(((SECONDS - $1) / 3600)) $(((SECONDS - $1) % 3600 / 60)); }

# step PROMISES PACKAGE TESTS SKIPPED COUNTS begins to run the tests of a package
# that prove promises, once fewer than $jobs steps are running. A test that reports
# for itself (PROOF lines) needs no COUNTS; for the others COUNTS is what stands in
# the table, for a night.
step() {
  [[ "$1" =~ $only ]] || return 0
  local name tree
  tree=$(tree "$2")
  name=$(echo "$1-$2-$3" | tr -c 'A-Za-z0-9\n' '-' | tr -s '-' | sed 's/^-*//; s/-*$//')
  names+=("$name")
  if [ -f "$out/$name.done" ] && grep -qxE "tree ${kept:-$tree} scale $scale" "$out/$name.done"; then
    printf '%s  %-14s is done: %s\n' "$(since "$began")" "$1" "$(head -1 "$out/$name.done")"
    return 0
  fi
  [ "${SANAD_SOAK_TABLE-}" != 1 ] || return 0
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
  run "$name" "$tree" "$@" &
}

run() {
  local name=$out/$1 tree=$2 promises=$3 package=$4 tests=$5 skipped=$6 counts=${7-}
  local log=$name.log start=$SECONDS night=1 temp=$memory
  rm -f "$name.done"
  case $promises in P01-batch | DB-02) temp= ;; esac # larger than memory, or about disks
  if [ "$package" != ./proof ] && awk "BEGIN{exit !($scale < 1)}"; then night=0; counts=${counts:+"of every change"}; fi
  printf '%s  %-14s %s %s ...\n' "$(since "$began")" "$promises" "$package" "$tests"
  export SANAD_PROOF_LOG=$name.proof SANAD_SOAK=
  [ "$night" = 0 ] || SANAD_SOAK=1
  : >"$SANAD_PROOF_LOG"
  [ -z "$temp" ] || export TMPDIR=$temp
  go test -count=1 -timeout 14h -v -run "$tests" -skip "${skipped:-^$}" "$package" >"$log" 2>&1
  local status=$? result=0 report=$name.done
  if [ $status != 0 ]; then
    result=FAILED
    grep -E '^ *--- FAIL|^FAIL|panic:' "$log" | head -20
  elif ! grep -q -- '^--- PASS' "$log"; then
    result="NOT RUN"
  fi
  if [ -n "$counts" ] || [ "$result" != 0 ]; then
    local engine
    for engine in $(sed -nE 's/.*--- (PASS|FAIL): .*(sqlite|postgres|TestContractPostgres).*/\2/p; s/.*--- (PASS|FAIL): TestContract .*/sqlite/p' "$log" |
      sed 's/TestContractPostgres/postgres/' | sort -u | grep . || echo -); do
      echo "PROOF $promises $engine ${counts:-see $(basename "$log")} violations=$result" >>"$SANAD_PROOF_LOG"
    done
  fi
  [ "$result" = 0 ] || report=$name.failed
  {
    echo "commit $commit at $(date -u +%Y-%m-%dT%H:%MZ), took $(since "$start")"
    echo "tree $tree scale $scale"
    cat "$SANAD_PROOF_LOG"
  } >"$report"
  rm -f "$SANAD_PROOF_LOG"
  grep '^PROOF' "$report"
  printf '%s  %-14s took %s\n' "$(since "$began")" "$promises" "$(since "$start")"
}

go build ./... || exit 1
# What takes the least time for what it proves comes first.
while IFS=';' read -r promises package tests skipped counts; do
  case $promises in '' | '#'*) continue ;; esac
  step "$promises" "$package" "$tests" "$skipped" "$counts"
done <scripts/soak.plan

# Everything else at its nightly number, so that nothing is forgotten.
if [ "$only" = . ]; then
  for package in $(go list ./... | sed "s#^$(go list -m)#.#"); do
    [ -n "$(find "$package" -maxdepth 1 -name '*_test.go' -print -quit)" ] || continue
    grep -q ";$package;" scripts/soak.plan && continue
    step "tests" "$package" . "" "all tests"
  done
fi
wait

failed=0
{
  printf '%-14s %-9s %-52s %-10s %s\n' promise store counts violations commit
  for name in "${names[@]}"; do
    report=$out/$name.done
    [ -f "$report" ] || report=$out/$name.failed
    if [ ! -f "$report" ]; then
      printf '%-14s %-9s %-52s %s\n' "${name%%-*}" - "$name" "NOT RUN"
      continue
    fi
    read -r _ at _ <"$report"
    sed -nE "s/^PROOF ([^ ]+) ([^ ]+) (.*) violations=(.*)\$/\\1;\\2;\\3;\\4;$at/p" "$report"
  done | awk -F';' 'NF == 5 {printf "%-14s %-9s %-52s %-10s %s\n", $1, $2, $3, $4, $5; next} {print}'
  echo
  echo "$(date -u +%Y-%m-%dT%H:%MZ), scale $scale, $(nproc) cores, $(since "$began") hours; $(go version | cut -d' ' -f3); commit $commit"
} | tee "$out/table.txt"
for name in "${names[@]}"; do [ -f "$out/$name.done" ] || failed=1; done
exit $failed
