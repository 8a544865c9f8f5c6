#!/bin/sh
# Prepares a development environment: dependencies, PostgreSQL and Redis, .env, the schema with sample data, a connection test.
#   ./setup_dev.sh          may be run again; what is there stays
#   ./setup_dev.sh --stop   ends the servers that it started
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
exec sh "$here/../../scripts/bootstrap.sh" "$here/setup.ts" "$@"
