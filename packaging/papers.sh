#!/usr/bin/env bash
# Lets a program print its man page and completions: packaging/papers.sh PROGRAM FOLDER writes s3fcp.1, s3fcp.bash,
# s3fcp.fish and _s3fcp (zsh) there.
set -euo pipefail

program=$1 folder=$2
mkdir -p "$folder"
"$program" --man >"$folder/s3fcp.1"
"$program" --completions bash >"$folder/s3fcp.bash"
"$program" --completions fish >"$folder/s3fcp.fish"
"$program" --completions zsh >"$folder/_s3fcp"
