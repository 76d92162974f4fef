#!/usr/bin/env bash
# A Slurm of one node on this machine, for tests: needs Debian's packages slurmctld,
# slurmd, slurm-client and munge, and root.
#
#   scripts/slurm.sh start FOLDER    starts it, and prints the path of its slurm.conf
#   scripts/slurm.sh stop FOLDER     ends it
#
# All that it writes is in FOLDER. Commands reach it with SLURM_CONF set to that path.
set -euo pipefail

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

(($# == 2)) || usage
folder=$(realpath -m "$2")

stop() {
    local name file pid
    for name in slurmd slurmctld munged; do
        file="$folder/$name.pid"
        [[ -s $file ]] || continue
        pid=$(<"$file")
        kill "$pid" 2>/dev/null || true
        for _ in {1..100}; do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
    done
}

start() {
    local name host conf key
    for name in slurmctld slurmd sbatch munged; do
        command -v "$name" >/dev/null || {
            echo "slurm.sh: there is no $name here (Debian: slurmctld slurmd slurm-client munge)" >&2
            exit 1
        }
    done
    ((EUID == 0)) || {
        echo "slurm.sh: needs root" >&2
        exit 1
    }
    host=$(hostname -s)
    conf="$folder/slurm.conf"
    key="$folder/munge.key"
    mkdir -p "$folder"/{state,spool,munge}
    chmod 0700 "$folder/munge"
    # Its own key and socket, so that a munge of the machine is left alone.
    head -c 1024 /dev/urandom >"$key"
    chmod 0400 "$key"
    munged --force --socket="$folder/munge/socket" --key-file="$key" \
        --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" \
        --seed-file="$folder/munge.seed"
    cat >"$conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${SLURM_TEST_PORT:-16817}
SlurmdPort=$((${SLURM_TEST_PORT:-16817} + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job that is queued again waits for as long as its credential is valid.
AuthInfo=socket=$folder/munge/socket,cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
JobCompType=jobcomp/none
SchedulerParameters=sched_interval=1
MinJobAge=600
KillWait=10
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
    slurmctld -f "$conf"
    slurmd -f "$conf"
    for _ in {1..150}; do
        if [[ $(SLURM_CONF="$conf" sinfo -h -o %t 2>/dev/null) == idle ]]; then
            echo "$conf"
            return
        fi
        sleep 0.2
    done
    echo "slurm.sh: the node does not become idle; see $folder/slurmctld.log" >&2
    stop
    exit 1
}

case $1 in
start) start ;;
stop) stop ;;
*) usage ;;
esac
