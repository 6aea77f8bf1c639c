#!/usr/bin/env bash
# Does what docs/library.md says for a program of one's own: the commands, the Cargo.toml and the src/main.rs of the page, as
# they stand there, in an empty folder. Only the path of this repository and the address of a server are put in.
#   tests/tasks/embedding.sh [TARGET]   compiles into TARGET/embedding, or into target/embedding
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=$(realpath -m "${1:-${CARGO_TARGET_DIR:-$repository/target}}")
page=$repository/docs/library.md
work=$(mktemp -d)
serving=
trap 'rm -rf "$work"; [[ -z $serving ]] || kill "$serving"' EXIT

# block LANGUAGE N: the N-th block of a language on the page.
block() {
    awk -v fence="\`\`\`$1" -v wanted="$2" '
        inside && $0 == "```" { exit }
        inside { print }
        $0 ~ "^" fence "(,|$)" && ++seen == wanted { inside = 1 }' "$page"
}

# In the place of the clone: the page's first command leaves it.
mkdir "$work/s3fcp" && cd "$work/s3fcp"
export CARGO_TARGET_DIR=$target/embedding
# shellcheck disable=SC1090
eval "$(block sh 1)"
block toml 1 | sed "s|\.\./s3fcp|$repository|" > dependencies
sed -i '/^\[dependencies\]/d' Cargo.toml
cat dependencies >> Cargo.toml
block rust 1 > src/main.rs
# The versions that this repository was tested with.
cp "$repository/Cargo.lock" .
cargo build --release

export AWS_ACCESS_KEY_ID=EMBEDDING AWS_SECRET_ACCESS_KEY=of-this-test-alone AWS_REGION=us-east-1
if [[ -z ${S3_ENDPOINT:-} ]]; then
    mkdir "$work/files" && head -c 12345678 /dev/zero > "$work/files/disk.img"
    (cd "$repository" && CARGO_TARGET_DIR=$target exec cargo run --locked --release --example quickstart -- \
        --serve "$work/files" --keys "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY") > "$work/server" &
    serving=$!
    until grep -q '^Ctrl-C' "$work/server"; do
        kill -0 "$serving"
        sleep 0.2
    done
    S3_ENDPOINT=$(sed -n 's/^ *export AWS_ENDPOINT_URL_S3=//p' "$work/server" | tr -d "'")
fi
export AWS_ENDPOINT_URL_S3=$S3_ENDPOINT
printed=$(eval "$(block sh 2)")
echo "$printed"
[[ $printed == 's3://bucket/disk.img: 12345678 bytes' ]]
