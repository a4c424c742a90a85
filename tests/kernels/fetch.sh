#!/bin/sh
# fetch.sh KERNEL: gets Debian's kernel 5.10, 6.1 or 6.12 for tests/kernels/run.sh and prints where it is.
#
# It is fetched and verified by apt, with lists, sources and a cache of its own, from the mirror that this machine's
# configuration names, and kept in build-kernels/ until that is removed. Exit status 77: it cannot be had here, and what
# is printed says why. Any other failure: it should have been there.
set -eu

kernel=$1
root=$(cd -- "$(dirname -- "$0")/../.." && pwd)
kept=$root/build-kernels/vmlinuz-$kernel
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

skip() { echo "$*" && exit 77; }
broken() { echo "$*" && exit 1; }

case $kernel in
5.10) release=bullseye ;;
6.1) release=bookworm ;;
6.12) release=trixie ;;
*) broken "there is no kernel '$kernel' here" ;;
esac

scratch_apt() {
    mkdir -p "$scratch/apt/lists/partial" "$scratch/apt/archives/partial" "$scratch/apt/parts"
    : >"$scratch/apt/status"
    cat >"$scratch/apt/conf" <<END
Dir::State "$scratch/apt";
Dir::State::status "$scratch/apt/status";
Dir::Cache "$scratch/apt";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$scratch/apt/parts";
Dir::Etc::preferencesparts "/dev/null";
APT::Sandbox::User "$(id -un)";
APT::Architecture "amd64";
END
    # shellcheck disable=SC2016 # apt's own variable
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -n 1)
    [ -n "$mirror" ] || skip 'apt has no mirror'
    cat >"$scratch/apt/parts/debian.sources" <<END
Types: deb
URIs: $mirror
Suites: $release
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
}

fetch() {
    command -v apt-get >/dev/null || skip 'this machine has no apt'
    scratch_apt
    export APT_CONFIG="$scratch/apt/conf"
    apt-get -q -o Acquire::Retries=3 -o APT::Update::Error-Mode=any update >"$scratch/log" 2>&1 ||
        skip "the lists of $release cannot be had: $(grep '^[EW]:' "$scratch/log" | head -n 1)"
    package=$(apt-cache show linux-image-cloud-amd64 | sed -n 's/^Depends: \([^ ,]*\).*/\1/p' | head -n 1)
    case $package in
    linux-image-"$kernel".*) ;;
    *) broken "$release has no kernel $kernel, but '$package'" ;;
    esac
    (cd "$scratch" && apt-get -q -o Acquire::Retries=3 download "$package" >log 2>&1) ||
        broken "$(cat "$scratch/log")"
    dpkg-deb --fsys-tarfile "$scratch/$package"_*.deb |
        tar -x -O --wildcards './boot/vmlinuz-*' >"$scratch/vmlinuz"
    [ -s "$scratch/vmlinuz" ] || broken "$package has no kernel in it"
    mkdir -p "${kept%/*}"
    mv "$scratch/vmlinuz" "$kept"
}

[ "$(uname -m)" = x86_64 ] || skip 'this machine is no x86-64'
[ -s "$kept" ] || fetch
echo "$kept"
