#!/bin/sh
# Would X14.2 still accept the servers behind it? Silent while it would; otherwise cron mails which it would refuse, why,
# and what helps: an expired certificate, a new CA, a name that is gone. No request is sent. In a crontab:
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
