#!/usr/bin/env bash
# Packs the release binary (packaging/deb.sh) and does with the package what a user does: looks into it, installs it,
# runs it, reads its man page, completes by it, and removes it. It is installed by dpkg below target/, not into this
# system, and by anybody. What is not there to test with is told by a line SKIPPED; with --all cargo-deb is installed
# first, below target/ (a minute).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo_deb=3.8.0

mkdir -p "${CARGO_TARGET_DIR:-target}"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
# dpkg wants the latter two, which not everybody has there.
PATH=$target/tools/bin:$PATH:/usr/sbin:/sbin

if [[ ${1-} == --all ]] && command -v dpkg-deb >/dev/null; then
    cargo install cargo-deb --version "$cargo_deb" --locked --root "$target/tools" || true
fi
for needed in 'cargo deb --version' 'dpkg-deb --version'; do
    if ! $needed >/dev/null 2>&1; then
        printf 'SKIPPED Debian package: "%s" does not run\n' "$needed"
        exit
    fi
done

fail() {
    printf 'test-deb: %s\n' "$1" >&2
    exit 1
}

# holds FILE TEXT WHAT
holds() {
    grep -qF -e "$2" "$1" || fail "$3: no \"$2\" in $1"
}

package=$(packaging/deb.sh)
again=$(sha256sum <"$package")
packaging/deb.sh >/dev/null
[[ $(sha256sum <"$package") == "$again" ]] || fail 'packed again it is another package'

for field in Package:s3fcp Depends:libc6 Recommends:ca-certificates Section:net; do
    dpkg-deb --field "$package" "${field%%:*}" | grep -q "${field#*:}" || fail "$field is not in the control file"
done
printf '%s, %s bytes\n' "$package" "$(wc -c <"$package")"

root=$target/deb-root
rm -rf "$root"
mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates"
touch "$root/var/lib/dpkg/status" "$root/var/lib/dpkg/available"
# What it depends on is installed, but not there.
there() {
    dpkg --root="$root" --log="$root/dpkg.log" --force-not-root --force-depends "$@" 2>/dev/null
}
there --install "$package"

program=$root/usr/bin/s3fcp
"$program" --version
[[ $("$program" --version) == "$("$target/release/s3fcp" --version)" ]] || fail 'it is another program'
[[ $(stat -c '%a %U' "$program") == "755 $(id -un)" ]] || fail 'the program cannot be run by everybody'

page=$root/usr/share/man/man1/s3fcp.1.gz
unzipped=$target/s3fcp.1
gunzip -c "$page" >"$unzipped"
holds "$unzipped" '.SH "EXIT STATUS"' 'man page'
if command -v man >/dev/null; then
    # A minimal system leaves man pages out of what it installs, and has a man that says so.
    man --local-file "$page" | tr -s ' ' >"$unzipped.txt"
    holds "$unzipped.txt" 's3fcp - Download' 'man page as it is read'
else
    printf 'SKIPPED man page as it is read: there is no man\n'
fi

completions=$root/usr/share/bash-completion/completions/s3fcp
# shellcheck disable=SC1090,SC2016
completed=$(bash --norc -c '. "$1"; COMP_WORDS=(s3fcp --chunk) COMP_CWORD=1; _s3fcp s3fcp --chunk s3fcp; echo "${COMPREPLY[@]}"' \
    bash "$completions")
[[ $completed == --chunk-size ]] || fail "completed: $completed"
holds "$root/usr/share/zsh/vendor-completions/_s3fcp" '#compdef s3fcp' 'zsh'
holds "$root/usr/share/fish/vendor_completions.d/s3fcp.fish" '-l chunk-size' 'fish'
holds "$root/usr/share/doc/s3fcp/copyright" 'MIT' 'copyright'

there --purge s3fcp
left=$(find "$root/usr" -type f 2>/dev/null || true)
[[ -z $left ]] || fail "still there: $left"
rm -rf "$root"
printf 'TESTED Debian package: installed, run, removed\n'
