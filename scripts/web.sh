#!/usr/bin/env bash
# Makes the scanner page and the pocket page: web/scanner/dist and web/pocket/dist, from
# which verifier and issuer embed them. The reader of codes is zxing-wasm (npm, as the lock file of web/ says), unchanged. Without npm
# there are no pages, and the programs say so; nothing else needs it.
set -euo pipefail
cd "$(dirname "$0")/.."
page=web/scanner/page dist=web/scanner/dist zxing=web/node_modules/zxing-wasm
if [ ! -f "$zxing/dist/iife/reader/index.js" ]; then
  if ! command -v npm >/dev/null || ! (cd web && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >/dev/null); then
    echo "no npm: the programs are built without the scanner page (make web)" >&2
    exit 0
  fi
fi
# compress puts FILE.gz in the place of each file: 4 % smaller where libdeflate is installed.
if command -v libdeflate-gzip >/dev/null; then
  compress() { libdeflate-gzip -12 "$@"; }
else
  compress() { gzip -9 -n "$@"; }
fi
new=$(mktemp -d "$PWD/web/scanner/.dist-XXXXXX")
trap 'rm -rf "$new"' EXIT
mkdir "$new/words"
cp "$page"/* "$new/"
for file in internal/i18n/catalog/scan.*.json; do
  name=${file##*/scan.}
  cp "$file" "$new/words/$name"
done
# Without inlining the program is a tenth smaller, which is what keeps it in its budget. The arithmetic of P-256 has it: each of its
# additions with carry is a call otherwise, and a verification took three times as long (7 kB compressed).
GOOS=js GOARCH=wasm CGO_ENABLED=0 go build -trimpath -buildvcs=false -gcflags=all=-l -gcflags=crypto/internal/fips140/nistec/fiat= -gcflags=math/bits= -ldflags='-s -w' \
  -o "$new/sanad.wasm" ./web/scanner/wasm
cp "$(go env GOROOT)/lib/wasm/wasm_exec.js" "$new/"
cp "$zxing/dist/iife/reader/index.js" "$new/zxing.js"
cp "$zxing/dist/reader/zxing_reader.wasm" "$new/"
cp "$zxing/LICENSE" "$new/zxing-LICENSE.txt"
(
  cd "$new"
  list=$(find . -type f ! -name sw.js ! -name '*LICENSE*' | sed 's#^\./##' | LC_ALL=C sort)
  version=$( (cat sw.js; echo "$list" | xargs sha256sum) | sha256sum | cut -c1-16)
  names=$(echo "$list" | sed 's/.*/"&"/' | paste -sd, -)
  sed -i "s/@VERSION@/$version/; s#@FILES@#[\"./\",\"settings.json\",$names]#" sw.js
  # Programs embed these in this form alone.
  compress *.wasm *.js *.html *.css words/*.json
)
cp "$dist/README" "$new/"
chmod -R u=rwX,go=rX "$new"
rm -rf "$dist"
mv "$new" "$dist"

# The pocket page. What reads codes is fetched after the rest (page/sw.js).
page=web/pocket/page dist=web/pocket/dist
new=$(mktemp -d "$PWD/web/pocket/.dist-XXXXXX")
mkdir "$new/words"
cp "$page"/* "$new/"
for file in internal/i18n/catalog/pocket.*.json; do
  name=${file##*/pocket.}
  cp "$file" "$new/words/$name"
done
GOOS=js GOARCH=wasm CGO_ENABLED=0 go build -trimpath -buildvcs=false -tags pocket -gcflags=all=-l -ldflags='-s -w' -o "$new/pocket.wasm" ./web/pocket/wasm
cp "$(go env GOROOT)/lib/wasm/wasm_exec.js" "$new/"
cp "$zxing/dist/iife/reader/index.js" "$new/zxing.js"
cp "$zxing/dist/reader/zxing_reader.wasm" "$new/"
cp "$zxing/LICENSE" "$new/zxing-LICENSE.txt"
(
  cd "$new"
  list=$(find . -type f ! -name sw.js ! -name '*LICENSE*' | sed 's#^\./##' | LC_ALL=C sort)
  version=$( (cat sw.js; echo "$list" | xargs sha256sum) | sha256sum | cut -c1-16)
  names=$(echo "$list" | sed 's/.*/"&"/' | paste -sd, -)
  sed -i "s/@VERSION@/$version/; s#@FILES@#[\"./\",\"settings.json\",$names]#" sw.js
  compress *.wasm *.js *.html *.css words/*.json
)
cp "$dist/README" "$new/"
chmod -R u=rwX,go=rX "$new"
rm -rf "$dist"
mv "$new" "$dist"
