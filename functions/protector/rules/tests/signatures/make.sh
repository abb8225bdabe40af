#!/bin/sh
# Makes the commits and keys beside it anew: each commit is one that the real git signed with the real ssh-keygen or gpg. The private keys are thrown
# away. Tests never run it: they need neither program. Needs git, ssh-keygen and gpg 2.2 or later.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'gpgconf --kill all 2>/dev/null || true; rm -rf "$work"' EXIT
export HOME="$work" GNUPGHOME="$work/gpg" GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 LC_ALL=C
export GIT_AUTHOR_NAME=Anna GIT_AUTHOR_EMAIL=anna@example.com GIT_COMMITTER_NAME=Anna GIT_COMMITTER_EMAIL=anna@example.com
export GIT_AUTHOR_DATE=2024-01-01T00:00:00Z GIT_COMMITTER_DATE=2024-01-01T00:00:00Z
mkdir -m 700 "$GNUPGHOME"
cd "$work"
git init -q repository && cd repository
echo content >file && git add file

# made NAME: the last commit, as it lies in the repository.
made() { git cat-file commit HEAD >"$here/$1.commit"; }

for kind in ed25519 ecdsa rsa; do
    bits=""
    [ $kind = rsa ] && bits="-b 2048"
    [ $kind = ecdsa ] && bits="-b 384"
    ssh-keygen -q -t $kind $bits -N "" -C anna@example.com -f "$work/$kind"
    cp "$work/$kind.pub" "$here/ssh-$kind.pub"
    git -c gpg.format=ssh -c user.signingKey="$work/$kind.pub" commit -q --allow-empty -S -m "feat: signed with $kind"
    made ssh-$kind
done
git commit -q --allow-empty -m "feat: not signed"
made none

# The same commit, signed for something else than git.
git cat-file commit HEAD >"$work/plain"
ssh-keygen -q -Y sign -n file -f "$work/ed25519" "$work/plain"
{
    sed '/^$/,$d' "$work/plain"
    sed '1s/^/gpgsig /; 2,$s/^/ /' "$work/plain.sig"
    sed -n '/^$/,$p' "$work/plain"
} >"$here/ssh-namespace.commit"
# And with a signature that only gpgsm would understand.
{
    sed '/^$/,$d' "$work/plain"
    printf 'gpgsig -----BEGIN SIGNED MESSAGE-----\n MIAGCSqGSIb3DQEHAqCAMIACAQExDTALBglghkgBZQMEAgEwgAYJKoZIhvcNAQcB\n -----END SIGNED MESSAGE-----\n'
    sed -n '/^$/,$p' "$work/plain"
} >"$here/x509.commit"

at() {
    printf '#!/bin/sh\nexec gpg --batch --pinentry-mode loopback --passphrase "" --faked-system-time "%s!" "$@"\n' "$1" >"$work/gpg-at"
    chmod +x "$work/gpg-at"
}
key() { # NAME KIND USAGE
    "$work/gpg-at" -q --quick-generate-key "$1 <$1@example.com>" "$2" "$3" never
    id=$(gpg --with-colons --list-keys "$1@example.com" | sed -n 's/^fpr:::::::::\([^:]*\):.*/\1/p' | head -1)
}
sign() { git -c gpg.program="$work/gpg-at" -c user.signingKey="$id" commit -q --allow-empty -S -m "feat: signed by $1"; made "$1"; }
export_key() { gpg --armor --export "$id" >"$here/$1.asc"; }

at 20200101T000000
key pgp-rsa rsa2048 sign && at 20240101T000000 && sign pgp-rsa && export_key pgp-rsa

at 20200101T000000
key pgp-subkey ed25519 cert && "$work/gpg-at" -q --quick-add-key "$id" ed25519 sign never
at 20240101T000000 && sign pgp-subkey && export_key pgp-subkey

# Signed in time, and after the key had expired.
at 20200101T000000
key pgp-expired ed25519 sign && at 20200601T000000 && sign pgp-in-time && at 20240101T000000 && sign pgp-expired
at 20200701T000000 && "$work/gpg-at" -q --quick-set-expire "$id" 2021-01-01 && export_key pgp-expired

# Revoked without a reason, which may be any.
at 20200101T000000
key pgp-revoked ed25519 sign && at 20200601T000000 && sign pgp-revoked
sed 's/^:-----/-----/' "$GNUPGHOME/openpgp-revocs.d/$id.rev" | gpg -q --import && export_key pgp-revoked

# Retired: what it signed before stays good.
at 20200101T000000
key pgp-retired ed25519 sign && at 20200601T000000 && sign pgp-before && at 20240101T000000 && sign pgp-retired
printf 'y\n3\n\ny\n' | gpg --no-tty --command-fd 0 --faked-system-time 20210101T000000! --pinentry-mode loopback --passphrase "" \
    --gen-revoke "$id" >"$work/retired.rev" 2>/dev/null
gpg -q --import "$work/retired.rev" && export_key pgp-retired

# Over a digest that can be forged.
at 20200101T000000
key pgp-sha1 rsa2048 sign
printf '#!/bin/sh\nexec gpg --batch --pinentry-mode loopback --passphrase "" --digest-algo SHA1 --allow-weak-digest-algos --faked-system-time 20240101T000000! "$@"\n' >"$work/gpg-at"
sign pgp-sha1 && export_key pgp-sha1
