#!/usr/bin/env bash
# From a checkout on a machine with a GPU, or without one, to a double that waits for its user: `bash deploy/onstart.sh`.
#
#   here           the network, what is wrong with the host, packages of the operating system
#   bootstrap.py   Python's environment and the weights
#   deploy.machine certificate, keys, supervisord and the wait until everything is well
#
# Run it again at every start of the machine: what is there is kept, and then it takes seconds. With --stay it ends with
# the services, as a container's first process does; without, they go on behind it.
set -uo pipefail

export HOME=${HOME:-~} # a service of systemd has none

root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=deploy/machine/host.sh
source "$root/deploy/machine/host.sh"
cd -- "$root" || exit 1

import_environment /proc/1/environ

# What has to survive a stop lies on the volume, where there is one.
if [[ -z ${UNDERSTUDY_MACHINE__DIR:-} ]]; then
    if [[ -d /workspace && -w /workspace ]]; then
        UNDERSTUDY_MACHINE__DIR=/workspace/understudy
    else
        UNDERSTUDY_MACHINE__DIR=${XDG_DATA_HOME:-$HOME/.local/share}/understudy/machine
    fi
fi
export UNDERSTUDY_MACHINE__DIR
progress=$UNDERSTUDY_MACHINE__DIR/progress
log=$UNDERSTUDY_MACHINE__DIR/log/onstart.log
(umask 077 && mkdir -p -- "$UNDERSTUDY_MACHINE__DIR/log") || exit 1
chmod 700 "$UNDERSTUDY_MACHINE__DIR"

# The lines of deploy/machine/progress.py. A rented container's log is what its first process writes.
tell() { # PHASE STATE [TEXT]
    local line
    line="==> $(date -u +%Y-%m-%dT%H:%M:%SZ) $1 $2${3:+: $3}"
    echo "$line"
    echo "$line" >>"$progress"
    if [[ -n ${CONTAINER_ID:-} && -w /proc/1/fd/1 && ! /proc/1/fd/1 -ef /proc/$$/fd/1 ]]; then
        echo "$line" >>/proc/1/fd/1
    fi
}

give_up() { # PHASE SENTENCE
    tell "$1" failed "$2"
    if [[ -s $log ]]; then tail -n 15 -- "$log" | sed 's/^/    | /' | tee -a "$progress"; fi
    exit 1
}

exec 9>"$UNDERSTUDY_MACHINE__DIR/onstart.lock"
if command -v flock >/dev/null && ! flock -n 9; then
    echo "Another start of this machine is under way; its progress is in $progress." >&2
    exit 1
fi
: >"$log"

find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3; do
        if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

apt_updated=
install_packages() { # WHY PACKAGE...
    local why=$1
    shift
    if [[ $EUID != 0 ]] || ! command -v apt-get >/dev/null; then
        give_up packages "$why is missing; install it, on Debian and Ubuntu with \`sudo apt-get install -y $*\`."
    fi
    tell packages note "$why is missing; installing $*"
    if [[ -z $apt_updated ]]; then
        # One source of several that does not answer is no reason to end: installing shows whether it matters.
        timeout 300 apt-get update -qq >>"$log" 2>&1 9>&-
        apt_updated=yes
    fi
    DEBIAN_FRONTEND=noninteractive timeout 900 apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=120 "$@" >>"$log" 2>&1 9>&- ||
        give_up packages "apt-get could not install $*; the lines below say why."
}

gpu=
if command -v nvidia-smi >/dev/null && timeout 30 nvidia-smi -L 2>/dev/null | grep -q .; then gpu=yes; fi

tell network began
probe=$(find_python || command -v python3 || true)
sites=("${HF_ENDPOINT:-https://huggingface.co}" https://github.com ${PIP_INDEX_URL:+"$PIP_INDEX_URL"})
if [[ -z $probe ]]; then
    tell network note "No Python is here yet that could ask; apt will show whether there is a network."
elif reaches_network "$probe" "${sites[@]}"; then
    tell network "done"
elif timeout 30 "$probe" -m pip --quiet --retries 0 index versions pip >/dev/null 2>&1; then
    tell network "done" "pip finds its packages, but no hub answers"
elif [[ -f .venv/understudy.json ]]; then
    tell network "done" "nothing outside answers; going on with what is here"
else
    give_up network "This machine reaches nothing outside (${sites[*]} do not answer); rent another one, or set a proxy."
fi

tell packages began
if ! command -v git >/dev/null; then install_packages "git" git ca-certificates; fi
if ! python=$(find_python); then
    timeout 300 apt-get update -qq >>"$log" 2>&1 9>&- && apt_updated=yes
    for version in 3.12 3.11 3.13; do
        if apt-cache show "python$version-venv" >/dev/null 2>&1; then
            install_packages "Python $version" "python$version" "python$version-venv" "python$version-dev"
            break
        fi
    done
    python=$(find_python) || give_up packages "Understudy needs Python 3.11, 3.12 or 3.13; install one."
fi
# Whatever fails from here on, a rented machine is given back in the end. It lives on behind this script.
if [[ ${UNDERSTUDY_MACHINE__AT_END:-} == destroy && -n ${CONTAINER_ID:-} ]]; then
    setsid nohup "$python" -m deploy.machine.fuse </dev/null >>"$log" 2>&1 9>&- &
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if ! "$python" -c 'import ensurepip' 2>/dev/null; then
    install_packages "Python's module venv" "python$version-venv"
fi
if ! command -v turnserver >/dev/null; then
    install_packages "coturn, the way through for calls without UDP," coturn
    silence_coturn /run/systemd/system >>"$log" 2>&1 9>&-
fi
if [[ -n $gpu ]]; then
    # Triton compiles a small C program against Python's headers when the face's kernels are first used.
    if ! "$python" -c 'import os, sysconfig, sys; sys.exit(not os.path.isfile(sysconfig.get_path("include") + "/Python.h"))'; then
        install_packages "Python's headers" "python$version-dev"
    fi
    if ! command -v c++ >/dev/null; then install_packages "A C++ compiler" build-essential; fi

    if [[ $EUID == 0 ]]; then
        link_libcuda /usr/lib/x86_64-linux-gnu /usr/lib/aarch64-linux-gnu /usr/lib64
        ldconfig 2>/dev/null
    fi
    answer=$(cuda_answer "$python")
    if [[ $EUID == 0 && ($answer == 803 || $answer == 804) ]]; then
        move_compat_away /usr/local/cuda*
        ldconfig 2>/dev/null
        # It may be named in the image's variables too.
        export LD_LIBRARY_PATH
        LD_LIBRARY_PATH=$(tr : '\n' <<<"${LD_LIBRARY_PATH:-}" | grep -v /compat | paste -sd : -)
        answer=$(cuda_answer "$python")
    fi
    [[ $answer == 0 ]] || give_up packages "The GPU cannot be used (CUDA's first call answers $answer); rent another machine, or look at its driver."
    limit_threads
fi
tell packages "done" "$("$python" --version)${gpu:+, $(nvidia-smi --query-gpu=name,memory.total --format=csv,noheader 2>/dev/null | paste -sd ';' -)}"

exec "$python" deploy/bootstrap.py serve "$@"
