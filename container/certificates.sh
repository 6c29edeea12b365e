#!/usr/bin/env bash
# Makes what the compose file needs in a folder of yours: a certificate authority that is good for the named hosts
# alone, a certificate by it, and the key file that the replicas share. What is there and still good is kept.
#
#   container/certificates.sh                        for localhost, in container/local
#   container/certificates.sh login.example.test     for another name as well
#   FOLDER=/somewhere container/certificates.sh      elsewhere
#
# For trying out and for closed networks. In public, take a certificate that browsers trust (certbot, cert-manager)
# and put it where tls.crt and tls.key are.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=${FOLDER:-$here/local}
names=(localhost "$@")
ca_days=3650
# Less than what browsers accept of any authority.
certificate_days=199
renew_before_seconds=$((30 * 24 * 60 * 60))

# Nobody but you gets into the folder. The containers, which run as other users, get single files of it mounted and
# must be able to read those; so only the authority's key is closed by itself.
umask 022
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"
work=$(mktemp -d "$folder/making.XXXXXX")
trap 'rm -rf "$work"' EXIT

alternatives='IP:127.0.0.1,IP:::1'
permitted='permitted;IP:127.0.0.1/255.255.255.255,permitted;IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
for name in "${names[@]}"; do
    alternatives="DNS:$name,$alternatives"
    permitted="permitted;DNS:$name,$permitted"
done

if [ ! -s keys ]; then
    # One key a line: 32 bytes, base64. Without this file nobody can log in any more: keep a copy elsewhere.
    openssl rand -base64 32 >"$work/keys"
    mv "$work/keys" keys
    echo "made $folder/keys"
fi

if [ "$(cat names 2>/dev/null || true)" != "$alternatives" ]; then
    rm -f ca.crt ca.key tls.crt
fi
if [ ! -s ca.key ] || [ ! -s ca.crt ]; then
    (umask 077 && openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/ca.key")
    openssl req -new -x509 -key "$work/ca.key" -days "$ca_days" -subj '/CN=Hallpass local authority' -out "$work/ca.crt" \
        -addext 'keyUsage=critical,keyCertSign,cRLSign' -addext "nameConstraints=critical,$permitted"
    mv "$work/ca.key" "$work/ca.crt" .
    rm -f tls.crt
    echo "made $folder/ca.crt: let clients trust it, such as curl --cacert $folder/ca.crt"
fi
if ! openssl x509 -in tls.crt -noout -checkend "$renew_before_seconds" >/dev/null 2>&1; then
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$work/tls.key"
    openssl req -new -key "$work/tls.key" -subj "/CN=${names[-1]}" -out "$work/request"
    printf '%s\n' 'basicConstraints=critical,CA:FALSE' 'keyUsage=critical,digitalSignature' \
        'extendedKeyUsage=serverAuth' "subjectAltName=$alternatives" >"$work/extensions"
    openssl x509 -req -in "$work/request" -CA ca.crt -CAkey ca.key -days "$certificate_days" \
        -extfile "$work/extensions" -out "$work/tls.crt" 2>/dev/null
    chmod 644 "$work/tls.key"
    mv "$work/tls.key" "$work/tls.crt" .
    # HAProxy wants both in one file.
    cat tls.crt tls.key >tls.pem
    printf '%s\n' "$alternatives" >names
    echo "made $folder/tls.crt for $alternatives"
fi
