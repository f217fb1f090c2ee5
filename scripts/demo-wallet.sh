#!/usr/bin/env bash
# The wallet path, with real servers on this machine: an offer, a wallet that takes
# it, a library that asks for two of the card's claims, and the same after a revocation.
# Then one who signs in at an OpenID provider (examples/login-provider) instead of typing a code.
# `verifier request` stands for the library's website: it makes the same request over
# HTTP that a website's backend makes (docs/verifier-api.md, examples/relying-party).
# Part of scripts/demo.sh; everything is under demo/wallet. --quiet prints less.
set -euo pipefail
cd "$(dirname "$0")/.."

quiet=${1:-}
out=demo/wallet office=demo/wallet/office library=demo/wallet/library
issuer=bin/issuer verifier=bin/verifier
rm -rf "$out" && mkdir -p "$out"
talk=$out/talk.log
: >"$talk"
step() { printf '\n== %s\n' "$*"; }
fail() { echo "demo: $*" >&2; tail -5 "$talk" "$out"/*.log >&2; exit 1; }
show() { printf '   $'; printf ' %q' "$@"; echo; "$@" 2>>"$talk" | sed 's/^/   /'; }
run() { "$@" >>"$talk" 2>&1 || fail "$* failed"; }
wallet() { "bin/wallet-cli" --dir "$out/phone" --passphrase-file "$out/pass" --dev-http "$@"; }
port() { # a free one
  local p
  while p=$((20000 + RANDOM % 12000)); (: </dev/tcp/127.0.0.1/"$p") 2>/dev/null; do :; done
  echo "$p"
}
started=()
trap '[ ${#started[@]} = 0 ] || kill "${started[@]}" 2>/dev/null || true' EXIT
await() { # await PORT LOG
  for _ in $(seq 100); do
    if (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null; then return; fi
    sleep 0.1
  done
  fail "nothing serves on port $1; see $2"
}
issuing=$(port) asking=$(port) private=$(port) login=$(port)

step "A registry that serves wallets, a national root, and a library with a certificate under it"
run "$issuer" init "$office" --name "Ministry of Agriculture" --country XA --url "http://127.0.0.1:$issuing"
sed -i 's|^sources: {}|sources:\n  farmers: {csv: ../../../examples/data/farmers.csv}|' "$office/issuer.yaml"
run "$issuer" programme add --dir "$office" examples/programmes/farmer-card.yaml
(umask 077 && echo "a secret for the demo" >"$office/secrets/login-secret")
cat >>"$office/issuer.yaml" <<YAML
serve:
  any_client: true
  login:
    issuer: http://127.0.0.1:$login
    client_id: ministry
    client_secret_file: secrets/login-secret
    record_claim: registry_id
    programmes: [farmer-card]
    local_hosts: ["127.0.0.1"]
YAML
run "$issuer" keys root "$out/national" --name "Republic of Xanadu" --country XA
run "$verifier" init "$library" --name "City library" --country XA --url "http://localhost:$asking"
sed -i "s|^listen:.*|listen: 127.0.0.1:$asking|; s|^private:.*|private: 127.0.0.1:$private|" "$library/verifier.yaml"
run "$issuer" keys certify --csr "$library/request.csr" --root "$out/national" --out "$out/library.pem"
run "$verifier" keys import-chain --config "$library/verifier.yaml" --chain "$out/library.pem" --root "$out/national/root.pem"
rm -f "$library"/policies/*
cat >"$library/policies/card.yaml" <<'YAML'
policy: card
version: 1
verifier:
  name: {en: City library}
purpose: {en: To make a library card.}
retention_days: 0
ask:
  - id: farmer
    types: ["urn:xx:farmer:1"]
    claims: [full_name, district]
YAML
# What verifiers and wallets trust; confirmed by the fingerprint, as on paper.
publish() {
  "$issuer" trust export --dir "$office" --out "$out/office.trust" >"$out/export.txt" 2>>"$talk" || fail "trust export"
  fingerprint=$(sed -n 's/^root fingerprint *//p' "$out/export.txt")
  run "$verifier" --dir "$library/trust" trust import --fingerprint "$fingerprint" "$out/office.trust"
}
publish
"$issuer" serve --dir "$office" --dev-http --listen "127.0.0.1:$issuing" >"$out/issuer.log" 2>&1 &
started+=($!)
"$verifier" serve --config "$library/verifier.yaml" --dev-http >"$out/verifier.log" 2>&1 &
started+=($!)
await "$issuing" "$out/issuer.log"
await "$asking" "$out/verifier.log"

step "The ministry offers a farmer's card; the farmer's wallet takes it with the code that she was told"
record=$(sed -n 2p examples/data/farmers.csv | cut -d, -f1)
"$issuer" offer --dir "$office" --programme farmer-card --record "$record" --tx-code >"$out/offer.txt" 2>>"$talk" || fail "no offer"
offer=$(sed -n 's/^\(openid-credential-offer:[^ ]*\)$/\1/p' "$out/offer.txt")
(umask 077 && sed -n 's/^transaction code: //p' "$out/offer.txt" >"$out/code" && echo "a passphrase for the demo" >"$out/pass")
run wallet init
run wallet trust import --fingerprint "$fingerprint" "$out/office.trust"
run wallet trust root --yes "$out/national/root.pem"
echo "   $ wallet-cli accept --tx-code-file code '$offer'"
wallet accept --yes --tx-code-file "$out/code" "$offer" >"$out/accepted.txt" 2>"$out/accept.log" || fail "the wallet did not get it"
[ "$quiet" = --quiet ] || sed 's/^/   /' "$out/accept.log" "$out/accepted.txt"
publish # the list of the new card's slots

# ask WANT: the library asks, the wallet answers; the verdict must be WANT.
ask() {
  local code=0 link
  : >"$out/request.log" # the program opens it when it gets its turn
  "$verifier" request card --config "$library/verifier.yaml" >"$out/answer.txt" 2>"$out/request.log" &
  local asked=$!
  started+=("$asked")
  for _ in $(seq 100); do
    link=$(sed -n 's/^\(openid4vp:[^ ]*\)$/\1/p' "$out/request.log")
    [ -n "$link" ] && break
    sleep 0.1
  done
  [ -n "$link" ] || fail "the library made no request"
  echo "   $ verifier request card      $ wallet-cli present '${link:0:60}...'"
  wallet present --yes "$link" >"$out/presented.txt" 2>"$out/present.log" || [ "$1" != 0 ] || fail "the wallet could not answer"
  wait "$asked" || code=$?
  [ "$quiet" = --quiet ] || sed 's/^/   /' "$out/present.log" "$out/answer.txt"
  [ "$code" = "$1" ] || fail "the library's verdict has the status $code, expected $1"
}
step "The library asks for name and district of the card's eleven claims, as its website would over HTTP; the wallet says who asks, why and what, and shows no more"
sleep 5 # until the verifier looks for a newer bundle
ask 0
grep -q full_name "$out/answer.txt" || fail "the answer lacks the name"
if grep -qE 'land_size|birth_year|village' "$out/answer.txt"; then fail "the library got more than it asked for"; fi

step "The card is revoked: the same question, the same wallet, and the library does not accept it"
id=$("$issuer" status --dir "$office" --programme farmer-card --record "$record" 2>>"$talk" | grep -oE '^[0-9A-Z]{26}' | head -1)
show "$issuer" revoke --dir "$office" "$id" --reason lost
publish
sleep 6
ask 20
grep -q revoked "$out/answer.txt" || fail "the answer does not say why"

# sign_in ADDRESS NAME does what a person does with a browser: the office's page, its button, the
# provider's page, a name there, and back to the wallet.
sign_in() {
  local page to
  web() { curl -sS -b "$out/cookies" -c "$out/cookies" "$@" 2>>"$talk"; }
  page=$(web -L -w '\n%{url_effective}\n' "$1")
  to=$(grep -o 'action="[^"]*/oauth/upstream/[^"]*"' <<<"$page" | cut -d'"' -f2)
  to=$(web -o /dev/null -w '%{redirect_url}' -H "Origin: http://127.0.0.1:$issuing" -d '' "http://127.0.0.1:$issuing${to#http://127.0.0.1:"$issuing"}")
  to=$(web "$to" | grep -o "href=\"[^\"]*\">$2 " | cut -d'"' -f2 | sed 's/&amp;/\&/g')
  [ -n "$to" ] || fail "the provider's page does not have $2"
  web -L -o "$out/signed-in.html" "http://127.0.0.1:$login$to"
}
if ! command -v curl >/dev/null; then
  echo "   (no curl on this machine: signing in at a provider is left out)"
  exit
fi
step "Another farmer's card needs no code: who signs in at the country's provider (here one for trials) gets it into the wallet"
${GO:-go} build -o bin/ ./examples/login-provider
bin/login-provider --listen "127.0.0.1:$login" --client ministry --secret-file "$office/secrets/login-secret" \
  --redirect "http://127.0.0.1:$issuing/oauth/callback" --people examples/data/farmers.csv --name-column fullName >"$out/login.log" 2>&1 &
started+=($!)
await "$login" "$out/login.log"
record=$(sed -n 3p examples/data/farmers.csv | cut -d, -f1)
name=$(sed -n 3p examples/data/farmers.csv | cut -d, -f3)
"$issuer" offer --dir "$office" --programme farmer-card --record "$record" --login >"$out/offer.txt" 2>>"$talk" || fail "no offer"
offer=$(sed -n 's/^\(openid-credential-offer:[^ ]*\)$/\1/p' "$out/offer.txt")
echo "   $ wallet-cli accept --browser '$offer'"
: >"$out/accept.log"
wallet accept --yes --browser "$offer" >"$out/accepted.txt" 2>"$out/accept.log" &
accepting=$!
started+=("$accepting")
for _ in $(seq 100); do
  address=$(sed -n 's/^ *\(http[^ ]*authorize[^ ]*\)$/\1/p' "$out/accept.log")
  [ -n "$address" ] && break
  sleep 0.1
done
[ -n "$address" ] || fail "the wallet named no page to sign in at"
sign_in "$address" "$name"
wait "$accepting" || fail "the wallet did not get the card: $(cat "$out/accept.log")"
[ "$quiet" = --quiet ] || sed 's/^/   /' "$out/accept.log" "$out/accepted.txt"
wallet list >"$out/held.txt" 2>>"$talk"
[ "$(grep -c 'Farmer card' "$out/held.txt")" = 2 ] || fail "the wallet does not hold both cards"
