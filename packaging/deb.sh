#!/usr/bin/env bash
# Packs a release binary as a Debian package, with its man page and completions, which it prints itself, and tells where
# the package is: packaging/deb.sh [TARGET]. It needs cargo-deb, and the binary already built, for this machine or for
# TARGET; this machine must be able to run it. The same commit gives the same package.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

triple=${1-}
release=${CARGO_TARGET_DIR:-target}${triple:+/$triple}/release
program=$release/s3fcp
papers=$release/papers

packaging/papers.sh "$program" "$papers"
# Without a name and a date in it.
gzip -9nf "$papers/s3fcp.1"
gzip -9n <CHANGELOG.md >"$papers/changelog.gz"

# cargo-deb dates what it packs by this.
if [[ -z ${SOURCE_DATE_EPOCH-} ]] && commit=$(git log -1 --format=%ct 2>/dev/null); then
    export SOURCE_DATE_EPOCH=$commit
fi
cargo deb --locked --no-build --no-strip --quiet ${triple:+--target "$triple"}
