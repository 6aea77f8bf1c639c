#!/usr/bin/env bash
# Packs a release binary for where there is no package: packaging/archive.sh NAME FOLDER OUT makes
# OUT/s3fcp-VERSION-NAME.tar.gz of FOLDER/s3fcp, its man page and completions, README.md, docs/, CHANGELOG.md and LICENSE, and
# tells its path. packaging/archive.sh --check TAG only fails where TAG is not v and the version.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$(sed -n '/^\[package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)

if [[ $1 == --check ]]; then
    [[ $2 == "v$version" ]] || {
        printf 'archive: the tag %s is not v%s, the version in Cargo.toml\n' "$2" "$version" >&2
        exit 1
    }
    exit
fi

name=s3fcp-$version-$1 program=$2/s3fcp out=$3
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT
folder=$staging/$name
mkdir -p "$folder"
cp -r "$program" README.md docs CHANGELOG.md LICENSE "$folder/"
packaging/papers.sh "$program" "$folder"
tar -czf "$out/$name.tar.gz" -C "$staging" "$name"
printf '%s\n' "$out/$name.tar.gz"
