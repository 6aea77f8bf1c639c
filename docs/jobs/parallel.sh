#!/bin/sh
# One object in N pieces at the same time, by GNU parallel:  parallel.sh s3://bucket/key FILE [N]
#
# Here all N run on this machine. With --sshlogin and a FILE that all machines share, parallel spreads them.
set -eu
uri=$1 out=$2 n=${3:-4}

# All pieces are of this version of the object: if it is replaced meanwhile, they fail (exit code 6).
etag=$(s3fcp --info "$uri" | awk '$1 == "etag:" { print $2 }')
[ -n "$etag" ] || { echo "the store shows no ETag: use --version-id" >&2; exit 1; }

# A piece is tried again after exit code 5, network or server, and after no other: see docs/failures.md.
# shellcheck disable=SC2016
piece='
    code=0
    s3fcp "$@" || code=$?
    [ "$code" = 5 ] || exit "$code"
    sleep 5
    exec s3fcp "$@"'

# FILE gets its name when every piece is there.
rm -f "$out.pieces"
if command -v parallel >/dev/null; then
    seq 0 $((n - 1)) | parallel --quote --will-cite --halt now,fail=1 \
        sh -c "$piece" sh "$uri" --shard "{}/$n" --if-match "$etag" --in-place -o "$out.pieces"
else
    echo "GNU parallel is not installed: the same by xargs" >&2
    seq 0 $((n - 1)) | xargs -P 8 -I {} \
        sh -c "$piece" sh "$uri" --shard "{}/$n" --if-match "$etag" --in-place -o "$out.pieces"
fi
mv -- "$out.pieces" "$out"
