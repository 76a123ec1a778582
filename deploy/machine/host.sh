# shellcheck shell=bash
# What is wrong with some hosts, and what can be done about it from inside a container. Sourced by deploy/onstart.sh;
# every function takes its places as arguments, so that tests use folders of their own.

# Only process 1 of a rented container has the variables of its contract (public address, mapped ports, the instance's
# own key, what its user set): a shell that comes by SSH, and what is started from it, has to read them there.
import_environment() { # FILE
    local entry name
    [[ -r $1 ]] || return 0
    while IFS= read -r -d '' entry; do
        name=${entry%%=*}
        case $name in
            UNDERSTUDY_*__*[!A-Za-z0-9_]*) ;;
            UNDERSTUDY_* | VAST_* | CONTAINER_ID | CONTAINER_API_KEY | PUBLIC_IPADDR | HF_TOKEN | HF_ENDPOINT)
                [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ && -z ${!name+set} ]] && export "$name=${entry#*=}"
                ;;
        esac
    done < <(cat -- "$1" 2>/dev/null)
    return 0
}

# The driver's library is mounted into the container by the host. Some hosts mount it as libcuda.so.VERSION or libcuda.so
# alone: then CUDA programs miss libcuda.so.1 and Triton, which links by it, libcuda.so.
link_libcuda() { # FOLDER...
    local folder found
    for folder in "$@"; do
        [[ -d $folder ]] || continue
        found=$(find "$folder" -maxdepth 1 -name 'libcuda.so*' -xtype f | sort | tail -n 1)
        [[ -n $found ]] || continue
        [[ -e $folder/libcuda.so.1 ]] || ln -sf "$(basename -- "$found")" "$folder/libcuda.so.1"
        [[ -e $folder/libcuda.so ]] || ln -sf libcuda.so.1 "$folder/libcuda.so"
    done
    return 0
}

# CUDA images bring a forward-compatibility libcuda, which works on data-centre cards only: on a GeForce the first call
# ends in error 804 (803 where it is older than the driver). Out of the way, the host's own library is found.
move_compat_away() { # CUDA_FOLDER...
    local folder
    for folder in "$@"; do
        [[ -d $folder/compat && ! -L $folder ]] || continue
        rm -rf -- "$folder/compat.unused"
        mv -- "$folder/compat" "$folder/compat.unused"
    done
    return 0
}

# What CUDA's first call answers: 0 well, 804 or 803 the wrong libcuda, 100 no card; "missing" without the library.
cuda_answer() { # PYTHON
    "$1" -c '
import ctypes
try:
    print(ctypes.CDLL("libcuda.so.1").cuInit(0))
except OSError:
    print("missing")
' 2>/dev/null || echo missing
}

# Debian's package starts a server of its own where systemd runs: an open relay on the port that ours needs.
silence_coturn() { # FOLDER_THAT_SYSTEMD_MAKES
    [[ ! -d $1 ]] || systemctl disable --now coturn
}

# NumPy, OpenMP and MKL each start a thread per core of the host, of which a container may use a few: the threads of one
# picture then burn the quota of the next (a face of 29 pictures a second made 5.5). Our engines set their own numbers.
limit_threads() {
    local name
    for name in OMP_NUM_THREADS OPENBLAS_NUM_THREADS MKL_NUM_THREADS NUMEXPR_NUM_THREADS; do
        export "$name=${!name:-1}"
    done
}

# Some hosts let nothing out. Any answer will do, also a refusal; proxies of the environment are used.
reaches_network() { # PYTHON URL...
    local python=$1
    shift
    "$python" - "$@" <<'PROBE'
import sys, urllib.error, urllib.request

for url in sys.argv[1:]:
    try:
        urllib.request.urlopen(url, timeout=8).close()
    except urllib.error.HTTPError:
        pass
    except (OSError, ValueError):
        continue
    sys.exit(0)
sys.exit(1)
PROBE
}
