#!/usr/bin/env bash
# `make slurm-test`: install SLURM, munge and rsync where they lack, run the tests of this folder, remove what was installed.
# The tests themselves start SLURM's daemons, with all files but the configuration in a temporary folder, and stop them.
set -euo pipefail
[ "$(id -u)" = 0 ] || { echo "make slurm-test: SLURM's daemons need root; run it as root, in a container say"; exit 1; }
lacking=()
for pair in slurm-wlm:slurmctld munge:munged rsync:rsync; do
  command -v "${pair#*:}" > /dev/null || lacking+=("${pair%:*}")
done
installed() { dpkg-query -W -f '${Package}\n' | sort; }
if [ ${#lacking[@]} -gt 0 ]; then
  command -v apt-get > /dev/null || { echo "make slurm-test: install ${lacking[*]} first; only Debian's are installed here"; exit 1; }
  before=$(installed)
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${lacking[@]}"
  trap 'apt-get purge -yq $(comm -13 <(echo "$before") <(installed))' EXIT
fi
"$1" -m pytest tests/cluster
