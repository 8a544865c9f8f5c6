#!/bin/sh
# Becomes a streaming replica of db: takes a base backup the first time, then runs the server.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  export PGPASSWORD="$REPLICATION_PASSWORD"
  pg_basebackup -h db -U replicator -D "$PGDATA" -X stream -S replica_1 -R
  chmod 0700 "$PGDATA"
fi
exec postgres -c hot_standby_feedback=on
