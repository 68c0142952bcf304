"""What Slurm's words mean: states, reasons for waiting, refusals. Used by `slurm.py` alone."""

from __future__ import annotations

import re

from clusters.agent.schedulers.base import Ending, Status

STATES = {
    Status.PENDING: "PENDING CONFIGURING REQUEUED REQUEUE_FED REQUEUE_HOLD RESV_DEL_HOLD "
    "SPECIAL_EXIT POWER_UP_NODE",
    Status.ALIVE: "RUNNING COMPLETING SUSPENDED STOPPED SIGNALING STAGE_OUT RESIZING EXPEDITING",
}
ENDINGS = {
    "COMPLETED": Ending.NORMAL,
    "FAILED": Ending.NORMAL,
    "CANCELLED": Ending.CANCELLED,
    "DEADLINE": Ending.CANCELLED,
    "REVOKED": Ending.CANCELLED,
    "TIMEOUT": Ending.TIMEOUT,
    "OUT_OF_MEMORY": Ending.OUT_OF_MEMORY,
    "NODE_FAIL": Ending.NODE_FAIL,
    "BOOT_FAIL": Ending.NODE_FAIL,
    "LAUNCH_FAILED": Ending.NODE_FAIL,
    "RECONFIG_FAIL": Ending.NODE_FAIL,
    "PREEMPTED": Ending.PREEMPTED,
}

# What a job waits for that does not come by waiting; it is taken out of the queue and has failed.
HOPELESS = re.compile(
    r"AccountNotAllowed|BadConstraints|InvalidAccount|InvalidQOS|PartitionConfig|PartitionNodeLimit"
    r"|PartitionTimeLimit|QOSNotAllowed|QOSMin\w+|(QOS|Assoc)Max\w*PerJob\w*|AssociationNotFound"
    r"|(QOS|Assoc)MaxWallDuration\w*|.*\bnot permitted to use this partition\b.*"
)
MEMORY_WORDS = re.compile(r"exceeded (job |step )?memory limit|oom[-_ ]?kill", re.IGNORECASE)
TIME_WORDS = re.compile(r"CANCELLED AT \S+ DUE TO TIME LIMIT")
LAUNCH_FAILED = re.compile(r"launch[_ ]failed", re.IGNORECASE)
REASONS = {
    "AssocGrpBillingMinutes": "the account's computing time is used up",
    "AssocGrpCPUMinutesLimit": "the account's computing time is used up",
    "AssocGrpCpuLimit": "the account's limit of cores is reached",
    "AssocMaxJobsLimit": "the account's limit of running jobs is reached",
    "BeginTime": "its earliest start lies ahead",
    "Dependency": "another job has to end first",
    "DependencyNeverSatisfied": "another job that had to end well did not",
    "JobArrayTaskLimit": "no more tasks of the array may run at once",
    "JobHeldAdmin": "an administrator of the cluster holds it back",
    "JobHeldUser": "it is held back in the queue",
    "Licenses": "a licence is in use",
    "MaxGRESPerAccount": "the account's limit of GPUs is reached",
    "None": "the scheduler has not looked at it yet",
    "PartitionDown": "the partition is down",
    "PartitionInactive": "the partition takes no work now",
    "Priority": "jobs of higher priority come first",
    "QOSGrpCpuLimit": "the quality of service's limit of cores is reached",
    "QOSMaxCpuPerUserLimit": "the limit of cores for a user is reached",
    "QOSMaxJobsPerUserLimit": "the limit of running jobs for a user is reached",
    "ReqNodeNotAvail": "a node that it needs is not available, for maintenance perhaps",
    "Reservation": "a reservation has to begin first",
    "Resources": "it waits for nodes, cores, memory or GPUs that are free",
}

# The controller was not reached, or its answer was not: it may have the job all the same.
NO_CONTACT = re.compile(
    r"unable to contact|socket timed out|timed? ?out|connection (refused|reset|failure)|connect"
    r" failure|zero bytes|transport endpoint|communication|backup controller|in standby|message"
    r" (send|receive)|unexpected message|unexpected error|configuration file|broken pipe",
    re.IGNORECASE,
)
# Asked again later, it may be taken.
NOT_NOW = re.compile(
    r"temporarily|try again|retrying|(QOS|Assoc)\w*MaxSubmit\w*|AssocGrpSubmit\w*|QOSGrpSubmit\w*"
    r"|MaxJobCount|slots? (are )?full|resource busy",
    re.IGNORECASE,
)


def status_of(state: str) -> tuple[Status, Ending]:
    """Return what a state means, UNKNOWN for one that no known version has. `CANCELLED by 1000`
    and the cut `CANCELLED+` are read.
    """
    word = (state.split() or [""])[0].rstrip("+").upper()
    for status, words in STATES.items():
        if word in words.split():
            return status, Ending.NORMAL
    for known, ending in ENDINGS.items():
        if word == known or (state.rstrip().endswith("+") and word and known.startswith(word)):
            return Status.ENDED, ending
    return Status.UNKNOWN, Ending.NORMAL


def reason_words(reason: str) -> str:
    """Say why a job waits: in our words where we have some, else in Slurm's."""
    known = REASONS.get(reason.partition(",")[0].strip())
    if known:
        return known
    return f"the scheduler says {reason}" if reason else ""


def hopeless(reason: str) -> str:
    """Return a sentence where a job waits for what will not come, else ""."""
    if not HOPELESS.fullmatch(reason.strip()):
        return ""
    return f"Slurm would let the job wait for ever: {reason.strip()}."
