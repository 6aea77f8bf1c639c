#!/usr/bin/env bash
# Does what README.md and docs/install.md say to install: the command as it stands there, into a folder of this test; then
# what was installed names its version, and its completions and its man page are made by the commands of the page.
#   tests/tasks/install.sh [TARGET]   compiles into TARGET, or target
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=$(realpath -m "${1:-${CARGO_TARGET_DIR:-$repository/target}}")
HOME_OF_CARGO=${CARGO_HOME:-$HOME/.cargo} HOME_OF_RUSTUP=${RUSTUP_HOME:-$HOME/.rustup}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Nothing is installed in the home folder of the user who runs this.
export CARGO_TARGET_DIR=$target CARGO_INSTALL_ROOT=$work/root CARGO_HOME=$HOME_OF_CARGO RUSTUP_HOME=$HOME_OF_RUSTUP HOME=$work/home
mkdir -p "$HOME"
cd "$repository"
command=$(grep -m1 '^cargo install ' README.md)
grep -qxF "$command" docs/install.md
eval "$command"

export PATH=$CARGO_INSTALL_ROOT/bin:$PATH
cd "$work"
s3fcp --version
# The last block of the page: completions and the man page.
eval "$(awk '/^```sh$/ { block = ""; inside = 1; next } inside && /^```$/ { inside = 0; last = block }
    inside { block = block $0 "\n" } END { printf "%s", last }' "$repository/docs/install.md")"
for file in .local/share/bash-completion/completions/s3fcp .config/fish/completions/s3fcp.fish .zfunc/_s3fcp .local/share/man/man1/s3fcp.1; do
    [[ -s $HOME/$file ]]
done
