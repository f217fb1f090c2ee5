#!/usr/bin/env bash
# Makes sure that what `make test` needs is there: as root it installs missing
# parts from the distribution's packages, otherwise it names them in one line.
set -euo pipefail
needed=() # without these make test fails
wanted=() # without these it skips tests
command -v gcc >/dev/null || needed+=(gcc)           # the race detector
[ -e /usr/include/stdlib.h ] || needed+=(libc6-dev)  # the race detector
command -v strace >/dev/null || wanted+=(strace)     # faults of system calls
# Tests start servers of their own (internal/pgtest).
compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || command -v initdb >/dev/null || wanted+=(postgresql)
missing=("${needed[@]}" "${wanted[@]}")
if [ ${#missing[@]} = 0 ]; then
  exit
fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
  echo "make test uses these packages, which are not installed: ${missing[*]}" >&2
  exit $((${#needed[@]} > 0))
fi
echo "installing for the tests: ${missing[*]}" >&2
if [[ " ${wanted[*]} " = *" postgresql "* ]] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
  # The package is to make and start no server.
  mkdir -p /etc/postgresql-common
  printf 'create_main_cluster = false\nstart_conf = manual\n' >/etc/postgresql-common/createcluster.conf
fi
export DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
