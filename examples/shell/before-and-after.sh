#!/usr/bin/env bash
# What a remote client gets from a CUCM mock before and after X14.2, with a shell and curl. Needs mralab, curl, openssl.
set -euo pipefail
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; wait; rm -rf "$work"' EXIT
cd "$work"

# The mock; replace it with yours. Its certificate is self-signed.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=cucm.example.com \
  -addext subjectAltName=DNS:cucm.example.com -keyout mock.key -out mock.pem 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=other-CA \
  -keyout other.key -out other.pem 2>/dev/null  # a CA that the Expressway trusts, but not the mock's
: >mock.out
openssl s_server -accept 127.0.0.1:0 -cert mock.pem -key mock.key -www >>mock.out 2>&1 </dev/null &
until mock=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' mock.out) && [ -n "$mock" ]; do sleep 0.05; done

# through RELEASE TRUST: run the proxy with that release and trust store, request the mock, print the status line.
through() {
  cat >mralab.toml <<TOML
release = "$1"
proxy = { listen = "127.0.0.1:0", admin = "" }
trust = { store = "$2" }
allow = { everything = true }
hosts."cucm.example.com" = { dial = "127.0.0.1", port = $mock }
TOML
  mralab serve -c mralab.toml >started &
  local server=$!
  until [ -s started ]; do kill -0 $server; sleep 0.05; done
  local address token
  address=$(sed 's/.*"listening": "\([^"]*\)".*/\1/' started)
  token=$(printf 'example.com/https/cucm.example.com/8443' | base64 | tr -d '=\n')
  curl -sS -x '' -o /dev/null -D headers "http://$address/$token/"
  head -1 headers | tr -d '\r'
  kill $server
  wait $server
  : >started
}

before=$(through X14.0.7 other.pem)
after=$(through X14.2 other.pem)
trusted=$(through X14.2 mock.pem)
echo "X14.0.7: $before"
echo "X14.2: $after"
grep -o 'WARNING: .*' traffic_server.log | sort -u
echo "X14.2, certificate trusted: $trusted"
[[ $before == *" 200 "* && $after == *" 502 "* && $trusted == *" 200 "* ]]
