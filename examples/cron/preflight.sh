#!/bin/sh
# Check whether X14.2 would still accept the servers. Silent if it would; otherwise cron mails which servers it would
# refuse, with cause and remedy: an expired certificate, a new CA, a missing name. No request is sent. In a crontab:
#   15 6 * * *  /usr/local/bin/preflight.sh /etc/mralab/mralab.toml
# The file has the CAs of Expressway-C's trust store in [trust] and the servers' names in [hosts].
set -eu
report=$(mktemp)
trap 'rm -f "$report"' EXIT

status=0
mralab preflight -c "$1" >"$report" 2>&1 || status=$?
if [ "$status" -ne 0 ]; then
  cat "$report"
fi
exit "$status"
