#!/bin/sh
# Runs once, on an empty volume: one role and one database per room; no room can open another's.
set -eu
for room in gateway ingest quality annotation training inference radiomics; do
  name=$(echo "$room" | tr '[:lower:]' '[:upper:]')
  password=$(printenv "IRP_PG_PASSWORD_$name")
  psql -v ON_ERROR_STOP=1 -U "${POSTGRES_USER:-postgres}" -d postgres -v password="$password" <<SQL
CREATE ROLE irp_$room LOGIN PASSWORD :'password';
CREATE DATABASE irp_$room OWNER irp_$room;
REVOKE ALL ON DATABASE irp_$room FROM PUBLIC;
SQL
done
