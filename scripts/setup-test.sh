#!/usr/bin/env bash
# Makes sure that what `make test` needs is there: as root it installs missing
# parts from the distribution's packages, otherwise it names them in one line.
# With --verdict it installs nothing and says, after the tests, what they had to go without.
set -euo pipefail
cd "$(dirname "$0")/.."
needed=() # without these make test fails
wanted=() # without these it skips tests
command -v gcc >/dev/null || needed+=(gcc)           # the race detector
[ -e /usr/include/stdlib.h ] || needed+=(libc6-dev)  # the race detector
command -v strace >/dev/null || wanted+=(strace)     # faults of system calls
# Tests start servers of their own (internal/pgtest).
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v initdb >/dev/null || wanted+=(postgresql)
command -v redis-server >/dev/null || wanted+=(redis-server)
# Pages as people see them (internal/chrometest), in scripts that the machine must have.
[ -x /usr/lib/chromium/chromium ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
  wanted+=(chromium)
compgen -G '/usr/share/fonts/*/noto/NotoSansBengali-Regular.*' >/dev/null || wanted+=(fonts-noto-core)
command -v pdftoppm >/dev/null || wanted+=(poppler-utils) # printed certificates, as other programs read them
command -v libdeflate-gzip >/dev/null || wanted+=(libdeflate-tools) # what phones load, smaller (scripts/web.sh)
command -v node >/dev/null || wanted+=(nodejs) # other people's implementations (interop/)
command -v npm >/dev/null || wanted+=(npm)
stamp=interop/node_modules/.sanad-lock # which lock file was installed
npm_packages_there() { [ -e "$stamp" ] && cmp -s "$stamp" interop/package-lock.json; }
if [ "${1:-}" = --verdict ]; then
  without=("${wanted[@]}")
  # Packages that are there and do not do.
  command -v strace >/dev/null && ! strace -f --seccomp-bpf -e trace=openat true >/dev/null 2>&1 && without+=("strace, which does not work here")
  npm_packages_there || without+=("the npm packages of interop/")
  [ -e web/scanner/dist/sanad.wasm.gz ] && [ -e web/pocket/dist/pocket.wasm.gz ] || without+=("the scanner page and the pocket page")
  [ -d "${SANAD_VECTORS:-../shared/vectors}" ] || without+=("test vectors (docs/test-vectors.md)")
  if [ ${#without[@]} = 0 ]; then
    echo "make test: all passed"
    exit
  fi
  list=$(printf ', %s' "${without[@]}")
  echo "make test: passed, without ${list#, }; what needs these was skipped"
  exit
fi
# npm_packages installs the peers of interop/ and axe-core, exactly those of the lock file, unless
# they are there already. Without npm or a registry the tests with them are skipped;
# SANAD_REQUIRE_NPM=1 makes that a failure.
npm_packages() {
  ! npm_packages_there || return 0
  if ! command -v npm >/dev/null || ! command -v node >/dev/null; then
    echo "no npm: tests against other implementations (interop/) are skipped" >&2
  elif (cd interop && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >/dev/null); then
    cp interop/package-lock.json "$stamp"
    return
  else
    echo "npm ci failed: tests against other implementations (interop/) are skipped" >&2
  fi
  [ "${SANAD_REQUIRE_NPM:-}" != 1 ]
}
missing=("${needed[@]}" "${wanted[@]}")
if [ ${#missing[@]} = 0 ]; then
  npm_packages
  exit
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "make test uses these packages, which are not installed: ${missing[*]}" >&2
  npm_packages
  exit $((${#needed[@]} > 0))
fi
echo "installing for the tests: ${missing[*]}" >&2
if [[ " ${wanted[*]} " = *" postgresql "* ]] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  # The package is to make and start no server.
  mkdir -p /etc/postgresql-common
  printf 'create_main_cluster = false\nstart_conf = manual\n' >/etc/postgresql-common/createcluster.conf
fi
if [ ! -e /usr/sbin/policy-rc.d ]; then
  # Nor is any other.
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod +x /usr/sbin/policy-rc.d
  trap 'rm -f /usr/sbin/policy-rc.d' EXIT
fi
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
npm_packages
