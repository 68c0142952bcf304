"""The tab “Agent” of a cluster: how to install it, its keys, and the late results it brought."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from calculations.services import orphans
from clusters import keys, node_wheel
from clusters.agent.config import LOCAL_HOSTS
from clusters.agent.protocol import DOWNLOAD_PATH
from clusters.forms import KeyForm
from clusters.models import Cluster
from clusters.node.settings import bare
from clusters.selectors import clusters as selectors
from clusters.selectors.health import is_valid
from clusters.views.aws import aws_page
from clusters.views.clusters import card_of
from clusters.views.ssh import ssh_page
from labportal.accounts.decorators import needs
from labportal.accounts.roles import Can, can
from labportal.common.clock import now

DEFAULT_SLOTS = 4
PLACEHOLDER = "PASSWORD"


@never_cache
@require_safe
@needs()
def cluster_agent(request: HttpRequest, name: str) -> HttpResponse:
    return _page(request, name)


@never_cache
@require_POST
@needs(Can.MANAGE_CLUSTERS)
def key_issue(request: HttpRequest, name: str) -> HttpResponse:
    """Answer with the page itself: the secret is in this one response and nowhere else."""
    cluster = get_object_or_404(selectors.clusters(request.user), name=name)
    form = KeyForm(request.POST)
    if not form.is_valid():
        return _page(request, name, key_form=form, status=400)
    _, secret = keys.issue(cluster, actor=request.user, days=form.cleaned_data["days"])
    return _page(request, name, secret=secret)


@require_POST
@needs(Can.MANAGE_CLUSTERS)
def key_revoke(request: HttpRequest, name: str, prefix: str) -> HttpResponse:
    cluster = get_object_or_404(selectors.clusters(request.user), name=name)
    keys.revoke(get_object_or_404(cluster.api_keys, prefix=prefix), actor=request.user)
    messages.success(request, f"The key lpk_{prefix}_… is refused from now on.")
    return redirect("cluster-agent", name)


@require_POST
@needs(Can.ADOPT_ORPHANS)
def orphan_adopt(request: HttpRequest, name: str, orphan_id: int) -> HttpResponse:
    cluster = get_object_or_404(selectors.clusters(request.user), name=name)
    orphan = get_object_or_404(selectors.orphans(cluster), pk=orphan_id)
    run = orphans.adopt(orphan, actor=request.user)
    messages.success(request, f"{run} now has this result.")
    return redirect(cluster)


def _page(
    request: HttpRequest, name: str, *, secret: str = "", status: int = 200, **given: object
) -> HttpResponse:
    card = card_of(request, name)
    if card.cluster.carrier == Cluster.Carrier.SSH:
        return ssh_page(request, name)
    if card.cluster.carrier == Cluster.Carrier.AWS:
        return aws_page(request, name)
    may_manage = can(request.user, Can.MANAGE_CLUSTERS)
    rows = key_rows(card.cluster) if may_manage else []
    context = {
        "card": card,
        "cluster": card.cluster,
        "tab": "agent",
        "may_manage": may_manage,
        "secret": secret,
        "keys": [row for row in rows if row["valid"]],
        "former_keys": [row for row in rows if not row["valid"]],
        "may_issue": may_manage and sum(row["valid"] for row in rows) < keys.MAX_VALID,
        "key_form": KeyForm(),
        "lines": install_lines(card.cluster, secret),
        "node": node_lines(card.cluster, secret if may_manage else "", private=may_manage),
        "unsigned": bool(rows) and not any(row["valid"] and row["signs"] for row in rows),
        **given,
    }
    return render(request, "clusters/cluster_agent.html", context, status=status)


def key_rows(cluster: Cluster) -> list[dict[str, object]]:
    moment = now()
    rows = []
    for key in cluster.api_keys.select_related("created_by"):
        valid = is_valid(key, moment)
        word = "Valid" if valid else "Revoked" if key.revoked_at else "Expired"
        signs = bool(key.sealed_signing_key)
        rows.append({"key": key, "valid": valid, "word": word, "signs": signs})
    return rows


def install_lines(cluster: Cluster, secret: str) -> list[str]:
    """The commands for the cluster's machine; without a fresh key, configure asks for it."""
    url = settings.PUBLIC_URL
    address = f"--url {url}{f' --key {secret}' if secret else ''}"
    slots = cluster.max_runs or cluster.slots_total or DEFAULT_SLOTS
    return [
        f"curl -fsSO {url}{DOWNLOAD_PATH}",
        f"python3 labportal-agent.pyz configure {address} --work ~/labportal --slots {slots}",
        "python3 labportal-agent.pyz run",
    ]


def node_lines(cluster: Cluster, secret: str, *, private: bool) -> dict[str, str]:
    """The commands for a node of the carrier `queue`. The broker's password is for admins, and only
    where it was set for nodes.
    """
    program = "~/labportal-node/bin/labportal-node"
    given = settings.NODE_BROKER_URL
    broker = given if given and private else bare(given or settings.CELERY_BROKER_URL)
    broker = broker.replace(":…@", f":{PLACEHOLDER}@")
    key = f" --key {secret}" if secret else ""
    host = urlsplit(broker).hostname or ""
    wheel = f"{settings.PUBLIC_URL}{reverse('node-wheel', args=[node_wheel.file_name()])}"
    return {
        "install": "python3 -m venv ~/labportal-node && ~/labportal-node/bin/pip install "
        f"--quiet --upgrade {shlex.quote(wheel)}",
        "run": f"{program} --queue {cluster.name} --broker {shlex.quote(broker)} "
        f"--url {settings.PUBLIC_URL}{key} --work ~/labportal",
        "service": f"{program} --queue {cluster.name} --install-service",
        "enable": f"systemctl --user enable --now labportal-node-{cluster.name}.service",
        "check": f"{program} --queue {cluster.name} --check",
        "broker_is_local": "yes" if host in LOCAL_HOSTS or not given else "",
        "password_missing": PLACEHOLDER if PLACEHOLDER in broker else "",
    }
