#!/bin/sh
# Would remote logins still work on X14.2? Silent while they would; otherwise cron mails what this says. In a crontab:
#   MRA_USER=emusk
#   15 6 * * *  /usr/local/bin/check-mra.sh /etc/mralab/mralab.toml cucm.example.com
# The file has release = "X14.2", the CAs of Expressway-C's trust store in [trust], and the log's name in [log]. It is
# asked through a proxy of its own on a free port. MRA_PASSWORD is the user's password, MRA_DOMAIN the user's domain.
set -eu
config=$1 server=$2 proxy=
work=$(mktemp -d)
trap 'kill $proxy 2>/dev/null || true; wait; rm -rf "$work"' EXIT

mralab serve -c "$config" >"$work/started" &
proxy=$!
until [ -s "$work/started" ]; do kill -0 "$proxy"; sleep 0.1; done
address=$(sed 's/.*"listening": "\([^"]*\)".*/\1/' "$work/started")

status=0
mralab login "$MRA_USER" --via "http://$address" --server "$server" --domain "${MRA_DOMAIN:-example.com}" \
  --password "$MRA_PASSWORD" >"$work/login" || status=$?
kill "$proxy"
wait "$proxy" || true
if [ "$status" -ne 0 ]; then
  cat "$work/login"
  # The reasons are in the log; each once.
  log=$(sed -n 's/^file *= *"\(.*\)"/\1/p' "$config")
  grep -oE '(WARNING|ERROR): .*' "${log:-$(dirname "$config")/traffic_server.log}" | sort -u || true
fi
exit "$status"
