#!/usr/bin/env bash
# `make page-test`: install Debian's Chromium where it lacks, run the tests of this folder, remove what was installed.
set -euo pipefail
if ! command -v chromium > /dev/null; then
  [ "$(id -u)" = 0 ] && command -v apt-get > /dev/null || { echo "make page-test: install Chromium first (Debian: apt-get install chromium)"; exit 1; }
  installed() { dpkg-query -W -f '${Package}\n' | sort; }
  before=$(installed)
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends chromium
  trap 'apt-get purge -yq $(comm -13 <(echo "$before") <(installed))' EXIT
fi
"$1" -m pytest tests/page
