#!/usr/bin/env bash
# Changes one letter in the middle of the code text on standard input.
set -euo pipefail
text=$(cat)
n=$((${#text} / 2))
old=${text:n:1}
new=A
[ "$old" != A ] || new=B
printf '%s\n' "${text:0:n}$new${text:n+1}"
