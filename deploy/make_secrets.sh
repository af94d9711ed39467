#!/bin/sh
# Writes the secrets of one house into a folder: random, readable by you only, never committed.
#   deploy/make_secrets.sh deploy/k8s/overlays/dev/secrets
# Files that exist are kept: delete one to renew it. Needs openssl >= 1.1.1.
set -eu
umask 077
folder=${1:?usage: make_secrets.sh FOLDER}
mkdir -p "$folder"
cd "$folder"
rooms="gateway ingest quality annotation training inference radiomics"

random() { printf 'p%s' "$(openssl rand -hex 24)"; }  # begins with a letter: NATS reads digits as a number
upper() { echo "$1" | tr '[:lower:]' '[:upper:]'; }
sha256() { tr -d '\n' | openssl dgst -sha256 -r | cut -d' ' -f1; }
value() { sed -n "s/^$2=//p" "$1"; }

if [ ! -f private.pem ]; then
  openssl genpkey -algorithm ed25519 -out private.pem
  rm -f public.pem
fi
[ -f public.pem ] || openssl pkey -in private.pem -pubout -out public.pem
if [ ! -f model-key.pem ]; then
  openssl genpkey -algorithm ed25519 -out model-key.pem
  openssl pkey -in model-key.pem -pubout >> models.pem  # old public keys stay: what they signed stays valid
fi
[ -f installation.key ] || openssl rand -hex 32 > installation.key
[ -f bootstrap.token ] || echo "irp_$(random)" > bootstrap.token
[ -f s3.env ] || echo "IRP_S3_AUTH_KEY=openirp,$(random)" > s3.env
[ -f nats-users.env ] || for room in $rooms; do echo "IRP_NATS_PASSWORD_$(upper "$room")=$(random)"; done > nats-users.env
if [ ! -f postgres.env ]; then
  echo "POSTGRES_PASSWORD=$(random)"
  for room in $rooms; do echo "IRP_PG_PASSWORD_$(upper "$room")=$(random)"; done
fi > postgres.env.new
if [ -s postgres.env.new ]; then mv postgres.env.new postgres.env; else rm postgres.env.new; fi

s3=$(value s3.env IRP_S3_AUTH_KEY)
for room in $rooms; do
  [ -f "$room.env" ] && continue
  name=$(upper "$room")
  {
    echo "IRP_NATS_USER=$room"
    echo "IRP_NATS_PASSWORD=$(value nats-users.env "IRP_NATS_PASSWORD_$name")"
    echo "IRP_S3_ACCESS_KEY=${s3%%,*}"
    echo "IRP_S3_SECRET_KEY=${s3#*,}"
    echo "IRP_DATABASE_URL=postgresql+asyncpg://irp_$room:$(value postgres.env "IRP_PG_PASSWORD_$name")@postgres:5432/irp_$room"
    [ "$room" != gateway ] || echo "IRP_BOOTSTRAP_TOKEN_SHA256=$(sha256 < bootstrap.token)"
  } > "$room.env"
done
echo "secrets are in $folder; the first administrator's token is in $folder/bootstrap.token (the cluster gets only its hash)"
