#!/usr/bin/env bash
# The whole paper path in under a minute: an issuer on SQLite, certificates from
# real registry files, a check without a network, a revocation, a forgery. Then the
# wallet path on real servers.
# Everything it makes is under demo/. --quiet prints the steps only (for tests).
set -euo pipefail
cd "$(dirname "$0")/.."

quiet=${1:-}
issuer=bin/issuer verifier=bin/verifier out=demo office=demo/office
samples=${SANAD_VECTORS:-../shared/vectors}/registry-samples
steps=0

step() { steps=$((steps + 1)); printf '\n%s\n' "== $steps. $*"; }
show() { printf '   $'; printf ' %q' "$@"; echo; "$@" 2>>"$out/talk.log" | sed 's/^/   /'; }
# verdict WANT FILE [FLAGS]: checks a file and stops unless the verdict is WANT.
verdict() {
  local want=$1 file=$2 code=0
  shift 2
  printf '   $ %s\n' "$verifier check $* $file"
  "$verifier" check "$@" "$file" >"$out/last-check.txt" || code=$?
  [ "$quiet" = --quiet ] || sed 's/^/   /' "$out/last-check.txt"
  [ "$code" = "$want" ] || { echo "demo: the check ended with status $code, expected $want" >&2; exit 1; }
}

if [ -e "$out" ] && [ ! -e "$out/.made-by-demo" ]; then
  echo "demo: there is a folder called $out that the demo did not make; move it away first" >&2
  exit 1
fi
rm -rf "$out" && mkdir "$out" && touch "$out/.made-by-demo"

step "An office sets up its issuer: keys, database, first trust bundle"
show "$issuer" init "$office" --name "Demo Registry Office" --country XA --url https://registry.example/

providers=$samples/public-register/social-housing-providers-england/regulator-list.tsv
programme=registered-provider
if [ ! -e "$providers" ]; then
  echo "   (the public register is not on this machine: a file of the sample country is used instead)"
  providers=examples/data/births.csv programme=birth-certificate
fi
farmers=$samples/inji-certify/farmer_identity_data.csv farmer=farmer-card
if [ ! -e "$farmers" ]; then
  farmers=examples/data/farmers.csv
fi

step "It takes two kinds of certificate into use: $programme and $farmer"
show "$issuer" programme add --dir "$office" "examples/programmes/$programme.yaml"
show "$issuer" programme add --dir "$office" "examples/programmes/$farmer.yaml"

# batch PROGRAMME SOURCE: exit status 3 means that some records were refused,
# which real registers always have; the manifest says which and why.
batch() {
  local code=0
  show "$issuer" batch --dir "$office" --programme "$1" --source "$2" --out "$out/$1" --form png --form text || code=$?
  [ "$code" = 0 ] || [ "$code" = 3 ] || exit "$code"
  [ "$(find "$out/$1" -name '*.png' | wc -l)" = "$(grep -o '[.]png' "$out/$1/manifest.csv" | wc -l)" ] || {
    echo "demo: manifest and files differ" >&2; exit 1; }
}
step "It signs a certificate for every record of the registers, unchanged files in"
batch "$programme" "$providers"
batch "$farmer" "$farmers"

step "It publishes what anyone needs to check them: one file"
show "$issuer" trust export --dir "$office" --out "$out/before.trust"

# The second certificate of the manifest is shown, the first revoked.
row() { grep -oE '[0-9A-Z]{26}[.]png' "$out/$programme/manifest.csv" | sed -n "$1s/[.]png//p"; }
first=$(row 1) second=$(row 2)
step "One certificate, as a code (scan it: it is the real thing)"
[ "$quiet" = --quiet ] || "$verifier" inspect --draw "$out/$programme/$second.png" | sed 's/^/   /'

step "Anyone checks it offline, with the verifier and that one file"
verdict 0 "$out/$programme/$second.png" --trust "$out/before.trust"

step "The office revokes another one and publishes the next bundle"
show "$issuer" revoke --dir "$office" "$first" --reason issued_in_error
show "$issuer" trust export --dir "$office" --out "$out/after.trust"
echo "   checked with the new bundle:"
verdict 20 "$out/$programme/$first.png" --trust "$out/after.trust"
echo "   checked with the old one, whose date it shows:"
verdict 0 "$out/$programme/$first.png" --trust "$out/before.trust"

step "Somebody changes one letter of a code"
scripts/tamper.sh <"$out/$programme/$second.txt" >"$out/forged.txt"
verdict 20 "$out/forged.txt" --trust "$out/after.trust"

step "The audit log of all this is complete and unchanged"
show "$issuer" audit export --dir "$office" --out "$out/audit"
show "$issuer" audit verify "$out/audit"

printf '\n%s\n' "And on a phone: the wallet path (scripts/demo-wallet.sh, under $out/wallet)"
scripts/demo-wallet.sh "$quiet"

cat <<TEXT

Done. Where to go next:
  1. look at a certificate:    $out/$programme/$second.png      (all of them: $out/$programme/manifest.csv)
  2. check it yourself:        $verifier check --trust $out/after.trust $out/$programme/$second.png
  3. issue from your own CSV:  docs/programmes.md, then  $issuer programme check FILE.yaml --source YOUR.csv
  4. run an office for real:   docs/operating.md
  5. ask wallets yourself:     docs/verifier-api.md, docs/wallet.md
  6. see how it is built:      ARCHITECTURE.md, docs/issuance-flow.md
TEXT
