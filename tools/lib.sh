# Shared by tools/run, tools/test and tools/check: what must be installed, and how to build. Sourced, not run.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '==> %s\n' "$*"; }

# Debian packages by what they are for.
packages_build="gcc libc6-dev meson ninja-build pkg-config python3 liburing-dev libjemalloc-dev"
packages_test="libcriterion-dev clang libclang-rt-14-dev clang-format redis-server redis-tools python3-redis python3-pytest
               libhiredis-dev golang-go libseccomp-dev procps ca-certificates"

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "This needs root (or sudo) to install packages: $*" >&2
        return 1
    fi
}

# ensure_packages NAME...: installs those that are missing; quick when none is.
ensure_packages() {
    local missing=() p
    for p in "$@"; do
        # A Go that is there already serves as well as Debian's.
        [ "$p" = golang-go ] && command -v go >/dev/null && continue
        dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
    done
    [ ${#missing[@]} = 0 ] && return 0
    say "installing ${missing[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    # Debian starts a redis-server of its own: it must not sit on our port.
    if printf '%s\n' "${missing[@]}" | grep -qx redis-server && command -v systemctl >/dev/null; then
        as_root systemctl disable --now redis-server >/dev/null 2>&1 || true
    fi
}

# build_dir DIR [meson options]: configures once, builds what changed.
build_dir() {
    local dir=$1
    shift
    [ -f "$dir/build.ninja" ] || meson setup "$dir" "$root" "$@" >/dev/null
    ninja -C "$dir" >"$dir/build.log" 2>&1 || { cat "$dir/build.log" >&2; return 1; }
}
