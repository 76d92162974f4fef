#!/usr/bin/env bash
# Finds a libtorch to build with, or fetches one. `--help` says more.
#
# Only the folder goes to standard output; every other word goes to standard error.
set -euo pipefail

readonly version=2.11.0
readonly series=2.11
# What the CPU copy holds: the PyTorch package, and the two CUDA libraries that its
# libtorch_cpu.so is linked against even on a machine without a GPU.
readonly cpu_packages=(--no-deps "torch==$version" nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85)
readonly cuda_packages=("torch==$version")
readonly debian_python='apt install python3 python3-venv python3-pip'

usage() {
    cat <<END
Usage: scripts/libtorch.sh [--link PATH]

Prints the folder of a libtorch $version: a folder with lib/ and include/. It is the
first of these that works:

  1. \$LIBTORCH, where it is set (a wrong one is an error);
  2. with --link: the folder that PATH already points to, so that a second run changes
     nothing (remove the link to search anew);
  3. the PyTorch $series of python3, where it has one;
  4. a copy in \${XDG_CACHE_HOME:-~/.cache}/impasto, fetched with pip the first time:
     1.2 GB on disk, or 5 GB with CUDA where an NVIDIA driver answers.

  --link PATH   also make PATH a symbolic link to that folder
  --help        print this help
END
}

# Our words keep their way to the reader while a command's are sent to a file.
exec 3>&2
say() { printf 'libtorch: %s\n' "$*" >&3; }

# die "what happened" ["what to do" ...]: one line each, then a failure.
die() {
    say "$1"
    shift
    (($# == 0)) || printf '  %s\n' "$@" >&3
    exit 1
}

# --- What a libtorch is ------------------------------------------------------------

# The version of the libtorch in folder $1, or nothing where no file tells it.
version_of() {
    local header
    if [[ -r $1/build-version ]]; then
        head -n 1 "$1/build-version"
    elif [[ -r $1/version.py ]]; then
        sed -n "s/^__version__ = '\(.*\)'.*/\1/p" "$1/version.py"
    else
        for header in "$1/include/torch/headeronly/version.h" "$1/include/torch/csrc/api/include/torch/version.h"; do
            [[ ! -r $header ]] || sed -n 's/^#define TORCH_VERSION_\(MAJOR\|MINOR\|PATCH\) \([0-9]*\).*/\2/p' "$header" | paste -sd .
        done | head -n 1
    fi
}

# Why folder $1 cannot be built with: a few words, or nothing where it can.
fault_of() {
    local found
    if [[ ! -d $1 ]]; then
        echo "there is no such folder"
    elif [[ ! -e $1/lib/libtorch_cpu.so ]]; then
        echo "it has no lib/libtorch_cpu.so"
    elif [[ ! -e $1/include/torch/csrc/api/include/torch/torch.h && ! -e $1/include/torch/torch.h ]]; then
        echo "it has no C++ headers under include/"
    else
        found=$(version_of "$1")
        case $found in
        "$series".*) ;;
        '') echo "its version cannot be read (no build-version, version.py or version.h)" ;;
        *) echo "it is version ${found//[^[:alnum:].+-]/?}, and impasto needs $series" ;;
        esac
    fi
}

works() { [[ -z $(fault_of "$1") ]]; }
driver_answers() { nvidia-smi -L >/dev/null 2>&1; }

# The folder of python3's PyTorch, found without importing it (that takes seconds).
# The current folder is left out: a stray ./torch is not an installed package.
python_torch() {
    python3 -c '
import importlib.util, os, sys
sys.path[:] = [p for p in sys.path if p]
spec = importlib.util.find_spec("torch")
if spec and spec.origin:
    print(os.path.dirname(spec.origin))' 2>/dev/null || true
}

# --- Fetching one ------------------------------------------------------------------

# The process group to end, the folder to remove, when this script is interrupted.
child=
partial=

clean_up() {
    if [[ -n $child ]]; then
        kill -- "-$child" 2>/dev/null || true
        # What still writes would fill the folder again while it is being removed.
        for _ in {1..40}; do
            kill -0 -- "-$child" 2>/dev/null || break
            sleep 0.05
        done
    fi
    [[ -z $partial ]] || rm -rf -- "$partial"
}
interrupted() {
    # pip hides the cursor while it draws its progress bar.
    [[ ! -t 3 ]] || printf '\033[?25h\n' >&3
    say "interrupted; nothing half done is left behind"
    exit "$1"
}
trap clean_up EXIT
trap 'interrupted 130' INT
trap 'interrupted 143' TERM
trap 'interrupted 129' HUP

# Runs a long command so that a signal to this script ends it at once: bash holds
# traps back while it waits for a command in the foreground. The command gets a process
# group of its own, so that it can be ended together with what it starts.
attended() {
    local status=0
    set -m
    "$@" </dev/null &
    child=$!
    set +m
    wait "$child" || status=$?
    child=
    return "$status"
}

# need_space FOLDER MEBIBYTES: stops where FOLDER's disk has less room than that.
need_space() {
    local free
    free=$(LC_ALL=C df -Pk -- "$1" | awk 'NR == 2 { print int($4 / 1024) }')
    ((free >= $2)) || die \
        "not enough room for libtorch: $2 MB are needed under $1, $free MB are free, $(($2 - free)) MB are missing" \
        "Free some space, or set XDG_CACHE_HOME to a folder on a larger disk." \
        "A libtorch $series that is already on this machine can be named with LIBTORCH=/path/to/libtorch."
}

# Gets a pip from a virtual environment made for the occasion; $1 says why.
python_from_venv() {
    say "$1; making a virtual environment for one that works"
    attended python3 -m venv "$partial/venv" >"$log" 2>&1 \
        || die "$1, and it cannot make a virtual environment; one of the two is needed to fetch libtorch" \
            "On Debian or Ubuntu: $debian_python"
    python=$partial/venv/bin/python
}

# Installs the given packages into $partial/libtorch. What pip prints is shown on a
# terminal (its progress bar); its complaints are kept for the moment it fails.
pip_install() {
    local out=$log
    [[ ! -t 2 ]] || out=/dev/stderr
    : >"$log"
    # A fixed Python version, because libtorch itself does not care which python3 it
    # is, and wheels exist only for some. --target agrees neither with "user" nor with
    # "require-virtualenv" in the user's pip settings.
    TMPDIR=$partial/tmp PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 \
        PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
        attended "$python" -m pip install --target "$partial/libtorch" --no-compile --no-input \
        --only-binary=:all: --python-version 3.12 --ignore-requires-python "$@" >>"$out" 2>>"$log"
}

# Puts a copy of the given kind (cpu or cuda) into the cache.
fetch() {
    local kind=$1 copy=$cache/libtorch-$version-$1 room download packages fault
    if [[ $kind == cuda ]]; then
        room=10000 download="3 GB, with CUDA" packages=("${cuda_packages[@]}")
    else
        room=2500 download="600 MB" packages=("${cpu_packages[@]}")
    fi
    command -v python3 >/dev/null \
        || die "python3 is needed to fetch libtorch $version, and there is none on the PATH" \
            "On Debian or Ubuntu: $debian_python" \
            "Or name a libtorch of your own with LIBTORCH=/path/to/libtorch."

    # Whatever bears this name was left by a run that was cut off: the lock is ours.
    rm -rf -- "$cache"/libtorch-*.partial
    partial=$copy.partial
    log=$partial/pip.log
    need_space "$cache" "$room"
    mkdir -p "$partial/tmp"

    python=python3
    python3 -m pip --version >/dev/null 2>&1 || python_from_venv "python3 has no pip"
    say "fetching libtorch $version (about $download, once) ..."
    if ! pip_install "${packages[@]}"; then
        # Some systems keep their pip to themselves (PEP 668); a venv's pip is ours.
        [[ $python == python3 ]] || pip_failed
        grep -q externally-managed "$log" || pip_failed
        python_from_venv "python3's pip is reserved for the system"
        pip_install "${packages[@]}" || pip_failed
    fi

    fault=$(fault_of "$partial/libtorch/torch")
    [[ -z $fault ]] || die "what pip installed is not a libtorch $series: $fault" "Please report this."
    rm -rf -- "$copy"
    mv -T -- "$partial/libtorch" "$copy"
    rm -rf -- "$partial"
    partial=
    say "libtorch $version is in $copy"
}

pip_failed() {
    local lines=()
    mapfile -t lines < <(tail -n 8 "$log" | tr -d '\000-\010\013-\037\177')
    die "pip could not fetch libtorch $version. Its last words:" "${lines[@]}" "" \
        "If it found no way to its package index, check the network and pip's proxy settings." \
        "If it found no fitting version: there are some for Linux on x86_64 and aarch64 with glibc" \
        "2.28 or newer, and pip must be 20.3 or newer. This one is $("$python" -m pip --version 2>/dev/null | cut -d ' ' -f 1,2)." \
        "Or name a libtorch $series of your own with LIBTORCH=/path/to/libtorch."
}

# Sets $folder to the copy in the cache, fetching it first where there is none yet.
from_cache() {
    local base=${XDG_CACHE_HOME:-} kind
    # The XDG rules say that a relative path is to be ignored.
    if [[ $base != /* ]]; then
        [[ -n ${HOME:-} ]] || die "neither XDG_CACHE_HOME nor HOME says where to keep libtorch" "Set one of them to a folder."
        base=$HOME/.cache
    fi
    cache=$base/impasto

    # The CUDA copy also serves a machine without a GPU, so it comes first and needs no
    # question to the driver (which can take seconds).
    folder=$cache/libtorch-$version-cuda/torch
    ! works "$folder" || return 0
    kind=cpu
    ! driver_answers || kind=cuda
    folder=$cache/libtorch-$version-$kind/torch
    ! works "$folder" || return 0

    { mkdir -p -- "$cache" && exec 9>>"$cache/libtorch.lock"; } 2>/dev/null \
        || die "cannot write to the cache folder $cache" "Set XDG_CACHE_HOME to a folder that you may write to."
    if ! flock -n 9; then
        say "another set-up is running, waiting"
        attended flock 9
    fi
    # The other set-up may have fetched it meanwhile.
    works "$folder" || fetch "$kind"
}

# --- The link ----------------------------------------------------------------------

# Makes $1 a link to folder $2. A link that is right already is left untouched: cargo
# would take a new one for a change and build again.
make_link() {
    if [[ -e $1 && ! -L $1 ]]; then
        die "$1 is in the way: it is not a symbolic link" "Move it away and try again."
    fi
    [[ ! -L $1 || $(realpath -m -- "$1") != "$2" ]] || return 0
    { ln -sfn -- "$2" "$1.$$" && mv -Tf -- "$1.$$" "$1"; } 2>/dev/null \
        || die "cannot make the link $1" "Is its folder there, and may you write to it?"
}

# --- From the first place that works -------------------------------------------------

link=
while (($#)); do
    case $1 in
    --link)
        [[ -n ${2:-} ]] || die "--link needs the path of the link to make"
        link=$2
        shift 2
        ;;
    --link=?*)
        link=${1#*=}
        shift
        ;;
    -h | --help)
        usage
        exit
        ;;
    *) die "unknown argument: ${1//[^[:print:]]/?}" "Try scripts/libtorch.sh --help" ;;
    esac
done

# The build compiles tch's C++ side. Better to hear of it now than after the download.
compiler=${CXX:-c++}
command -v "${compiler%% *}" >/dev/null \
    || die "a C++ compiler is needed to build impasto, and there is no ${compiler%% *} on the PATH" \
        "On Debian or Ubuntu: apt install g++"

if [[ -n ${LIBTORCH:-} ]]; then
    folder=$LIBTORCH
    fault=$(fault_of "$folder")
    [[ -z $fault ]] || die "LIBTORCH names $folder, but $fault" \
        "Point it at a libtorch $series, or unset it and one will be found or fetched."
    # cargo's build scripts run in other folders, where a relative path means nothing.
    [[ $folder == /* ]] || die "LIBTORCH is a relative path: $folder" "Give it in full: LIBTORCH=$(realpath -- "$folder")"
else
    folder=
    # Our own CPU copy is looked at again, in case the machine has got a GPU since.
    if [[ -n $link && -L $link ]] && works "$link"; then
        folder=$(realpath -- "$link")
        if [[ $folder == */libtorch-"$version"-cpu/torch ]] && driver_answers; then folder=; fi
    fi
    if [[ -z $folder ]]; then
        folder=$(python_torch)
        works "$folder" || from_cache
    fi
fi

folder=$(realpath -- "$folder")
[[ -z $link ]] || make_link "$link" "$folder"
printf '%s\n' "$folder"
