#!/usr/bin/env bash
# Runs a command beside a Slurm cluster of one node, this machine, and ends the cluster with it:
#   tests/slurm-node.sh FOLDER COMMAND [ARGUMENT...]
#
# For root, with munge, slurmctld, slurmd and slurm-client of Debian. All state is in FOLDER; ports are on loopback.
set -euo pipefail
folder=$(cd "$1" && pwd)
shift

host=$(hostname -s)
port=$((20000 + RANDOM % 20000))
dd if=/dev/urandom of="$folder/munge.key" bs=1024 count=1 status=none
chmod 700 "$folder"
chmod 400 "$folder/munge.key"
mkdir -p "$folder/state" "$folder/spool"
cat >"$folder/slurm.conf" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CryptoType=crypto/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/builtin
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
MinJobAge=600
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=2048 State=UNKNOWN
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$folder/slurm.conf

pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
}
trap finish EXIT
munged --foreground --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munge.pid" \
    --log-file="$folder/munge.log" --seed-file="$folder/munge.seed" &
pids+=($!)
for _ in $(seq 100); do [[ -S $folder/munge.socket ]] && break || sleep 0.1; done
slurmctld -D >"$folder/slurmctld.out" 2>&1 &
pids+=($!)
slurmd -D >"$folder/slurmd.out" 2>&1 &
pids+=($!)
for _ in $(seq 200); do
    [[ $(sinfo --noheader --format %T 2>/dev/null || true) == idle* ]] && break || sleep 0.1
done
"$@"
