"""What Linux tells of processes and of the machine: CPU time and memory."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
CORES = len(os.sched_getaffinity(0))


def stat_fields(pid):
    """The fields of /proc/PID/stat from the third on, behind the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def members(group):
    """The processes of a group."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(stat_fields(entry)[2]) == group:
                found.append(entry)
        except OSError:  # gone meanwhile
            pass
    return found


def cpu_seconds(group):
    """CPU time that the processes of a group have used, in user and system mode."""
    return sum(int(field) for pid in members(group) for field in stat_fields(pid)[11:13]) / TICKS


def busy_seconds():
    """CPU time that the whole machine has used; what its host took away counts too."""
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


def take_memory_back():
    """Writes to more memory than any target starts with, and frees it.

    Within a second a virtual machine hands what is free back to its host, and to be given it again, page by page, takes
    longer than a start. Whoever is started next would pay for the pause since the last.
    """
    memory = b"1" * (256 << 20)
    del memory


def status_mib(group, field):
    """A field of /proc/PID/status, summed over a group; what its processes share counts once for each."""
    lines = (line for pid in members(group) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith(f"{field}:")) / 1024


def resident_mib(group):
    return status_mib(group, "VmRSS")


def peak_mib(group):
    """The most that was resident since `forget_peak`."""
    return status_mib(group, "VmHWM")


def forget_peak(group):
    for pid in members(group):
        Path(f"/proc/{pid}/clear_refs").write_text("5")
