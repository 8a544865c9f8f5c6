#!/bin/sh
# Runs once, when the primary's data directory is made: accounts, databases, and who may stream.
set -eu
psql -v ON_ERROR_STOP=1 -v password="$LOCKSTEP_DB_PASSWORD" -v replication="$REPLICATION_PASSWORD" <<'SQL'
create role lockstep login password :'password';
create role replicator login replication password :'replication';
create database lockstep owner lockstep;
create database app owner lockstep;
select pg_create_physical_replication_slot('replica_1');
SQL
PGPASSWORD=$LOCKSTEP_DB_PASSWORD psql -v ON_ERROR_STOP=1 -U lockstep -d app -f /sql/app.sql
echo 'host replication replicator samenet scram-sha-256' >>"$PGDATA/pg_hba.conf"
