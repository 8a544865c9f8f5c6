#!/bin/sh
# Prepares a checkout and runs a TypeScript file with the right Node: scripts/bootstrap.sh FILE [ARG ...]
# Installs the dependencies when they are absent or older than the lockfile, so that `npm test` and
# `npm run demo` are the only command a fresh clone needs, with any Node >= 20 on the path.
set -eu
root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd)

if [ ! -f "$root/node_modules/.package-lock.json" ] || [ "$root/package-lock.json" -nt "$root/node_modules/.package-lock.json" ]; then
  echo "installing dependencies (once) ..." >&2
  (cd "$root" && npm ci --no-audit --no-fund --loglevel=error >&2)
  touch "$root/node_modules/.package-lock.json"
fi

# shellcheck source=scripts/find-node.sh
. "$root/scripts/find-node.sh"
exec "$node" "$@"
