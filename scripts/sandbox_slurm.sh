#!/usr/bin/env bash
# A SLURM of one node in a private folder, for tests: sandbox_slurm.sh start|stop FOLDER
# Needs root and Debian's packages slurm-wlm slurmctld slurmd slurm-client munge. Nothing is written to /etc; what it
# starts is ended by the process ids that it kept. `start` prints the variable that clients need.
set -euo pipefail
action="${1:?start or stop}"
folder="$(realpath -m "${2:?a folder of its own}")"
conf="$folder/slurm.conf"
port="${SANDBOX_SLURM_PORT:-16817}" # and the next one

stop() {
    for name in slurmd slurmctld munged; do
        [ -s "$folder/$name.pid" ] || continue
        pid="$(cat "$folder/$name.pid")" # they take the file away themselves
        kill "$pid" 2>/dev/null || true
        for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
        rm -f "$folder/$name.pid"
    done
}

start() {
    [ "$(id -u)" = 0 ] || { echo "sandbox_slurm: needs root" >&2; exit 2; }
    for program in munged slurmctld slurmd sbatch; do
        command -v "$program" >/dev/null || { echo "sandbox_slurm: $program is not installed" >&2; exit 2; }
    done
    mkdir -p "$folder"/{ctld,spool,log,sock}
    mkdir -p -m 700 "$folder/munge"
    dd if=/dev/urandom of="$folder/munge/key" bs=1024 count=1 status=none
    chmod 400 "$folder/munge/key"
    node="$(hostname -s)"
    cat >"$conf" <<CONF
ClusterName=sandbox
SlurmctldHost=$node(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/sock/munge.socket
CredType=cred/munge
SlurmctldPort=$port
SlurmdPort=$((port + 1))
StateSaveLocation=$folder/ctld
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SchedulerParameters=batch_sched_delay=0,sched_min_interval=200000,bf_interval=1
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge=300
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ {print int($2 / 1280)}' /proc/meminfo) State=UNKNOWN
PartitionName=work Nodes=$node Default=YES MaxTime=01:00:00 OverSubscribe=FORCE:4 State=UP
CONF
    munged --force --key-file="$folder/munge/key" --socket="$folder/sock/munge.socket" \
        --pid-file="$folder/munged.pid" --log-file="$folder/munge/munged.log" --seed-file="$folder/munge/seed"
    export SLURM_CONF="$conf"
    slurmctld -c -f "$conf"
    slurmd -c -f "$conf"
    for _ in $(seq 100); do
        sinfo -h -o %t 2>/dev/null | grep -q idle && { echo "SLURM_CONF=$conf"; return; }
        sleep 0.2
    done
    echo "sandbox_slurm: no node after 20 s; see $folder/log" >&2
    stop
    exit 1
}

case "$action" in
    start) start ;;
    stop) stop ;;
    *) echo "sandbox_slurm: start or stop, not $action" >&2; exit 2 ;;
esac
