"""Examples of every command, by the group of its options that they show; each option is in one of them."""

from __future__ import annotations

from . import flom_options as flom
from .run_options import COMMAND, KIND, LOCK, OUTPUT, WAIT

Example = tuple[str, str]
"""Words for a shell, and what they are for."""

OPTIONS = "Options"

EXAMPLES: dict[str, dict[str, tuple[Example, ...]]] = {
    "run": {
        LOCK: (
            ("pylock run backup -- rsync -a /data /backup", "never two backups at once"),
            ("pylock run --shared data -- ./report", "together with other readers"),
            ("pylock run --exclusive data -- ./import", "alone: no other, and no reader"),
            ("pylock run --mode PW table -- ./update", "the only writer, beside readers in mode CR"),
            ("pylock run --capacity 5 --weight 2 licences -- ./simulate", "2 of 5 units"),
            ("pylock run -s --policy fair data -- ./report", "who came first goes first, writers too"),
            ("pylock run a --with b --with c:shared -- ./merge", "all three, or none"),
            ("pylock run -d /nfs/locks --reason 'release 2.1' build -- make", "seen from all hosts"),
        ),
        KIND: (
            ("pylock run --any-of red,green printers -- sh -c 'lp -d $PYLOCK_ELEMENT x.pdf'", "its own printer"),
            ("pylock run --tree /customers/acme -- ./export.sh", "nobody else below, nor above"),
            ("pylock run --sequence orders -- sh -c 'echo $PYLOCK_VALUE'", "1, 2, 3, ..."),
            ("pylock run --sequence --transactional orders -- ./bill", "and no gap if it fails"),
            ("pylock run --timestamp %Y%m%d-%H%M%S log -- sh -c 'touch log.$PYLOCK_VALUE'", "no two alike"),
        ),
        WAIT: (
            ("pylock run --timeout 60 nightly -- ./report.sh", "a minute at most; exit status 75 if in vain"),
            ("pylock run --no-wait --busy-exit-code 1 nightly -- ./report.sh", "now or never"),
            ("pylock run --skip-if-busy poll -- ./poll.sh", "for cron: not while the last one runs"),
            ("pylock run --priority 10 build -- make hotfix", "before all who have none"),
            ("pylock run --create no service -- ./probe", "only while somebody else uses it"),
        ),
        COMMAND: (
            ("pylock run --ignore-signal TERM deploy -- ./deploy", "hold on while it cleans up after a kill"),
            ("pylock run --new-group --wait-for tree batch -- ./batch.sh", "and all that it started"),
            ("pylock run --start-ignoring PIPE export -- ./export.sh", "as systemd starts services"),
            ("pylock run --on-lost warn nightly -- ./report.sh", "though the file server gave it away"),
            ("pylock run --limit 2h --grace 30s nightly -- ./report.sh", "two hours at most, from its start on"),
            ("pylock run --exec db -- postgres -D /data", "nothing of pylock stays in memory"),
            ("pylock run --idle-lifespan 60 service -- ./serve", "there a minute longer, for --create no"),
        ),
        OUTPUT: (
            ("pylock run --quiet --config site.toml backup -- ./backup", "settings of a site; no waiting line"),
            ("pylock run --log /var/log/pylock.log backup -- ./backup", "a line for each event; or --log syslog"),
            ("pylock run --show-command program backup -- ./backup KEY", "its words stay out of the lock file"),
            ("pylock run --verbose backup -- ./backup", "says when the lock is held and let go"),
        ),
    },
    "status": {
        OPTIONS: (
            ("pylock status", "all locks"),
            ("pylock status --watch --directory /nfs/locks", "live, until Ctrl-C"),
            ("pylock status --json build", "for programs"),
            ("pylock status --pids build", "the processes of this host that hold it"),
            ("pylock status --prometheus", "for the textfile collector of node_exporter"),
            ("pylock status --quiet backup || echo 'busy, or never used'", "in a script"),
        ),
    },
    "kill": {
        OPTIONS: (
            ("pylock kill backup", "TERM, and after ten seconds KILL"),
            ("pylock kill backup --signal INT --grace 1m --yes", "as Ctrl-C, and a minute to clean up"),
            ("pylock kill backup --waiters -d /srv/locks", "the whole queue"),
        ),
    },
    "set": {
        OPTIONS: (
            ("pylock set maintain -c 0 -r 'kernel update' --drain", "nobody starts any more, and all have ended"),
            ("pylock set maintain --drain --newcomers -t 10m", "until nobody holds it, ten minutes at most"),
            ("pylock set maintain --capacity unlimited", "all who wait start"),
            ("pylock set data --policy fair", "who came first goes first"),
            ("pylock set printers --kind pool --elements red,blue -d /nfs/locks", "a pool before its first use"),
        ),
    },
    "path": {OPTIONS: (("pylock path -d /srv/locks deploy", 'for exec 9<>"$(...)", before take'),)},
    "take": {
        OPTIONS: (
            ("pylock take --fd 9 deploy || exit", "held until the script ends"),
            ("pylock take --fd 9 --token deploy || exit", "and prints its fencing token"),
        ),
        LOCK: (
            ("pylock take --fd 9 -s data -d /srv/locks || exit", "together with other readers"),
            ("pylock take --fd 9 -x --policy fair data || exit", "alone, and nobody passes who came later"),
            ("pylock take --fd 9 --mode PW --reason nightly data || exit", "the only writer"),
            ("pylock take --fd 9 -c 5 -w 2 licences || exit", "2 of 5 units"),
        ),
        WAIT: (
            ("pylock take --fd 9 -t 60 -p 10 deploy || exit", "a minute at most, before all who have no priority"),
            ("pylock take --fd 9 -n -E 1 deploy || exit", "now, or exit status 1"),
        ),
        OUTPUT: (
            ("pylock take --fd 9 -v deploy || exit", "says when it is held"),
            ("pylock take --fd 9 -q --config site.toml deploy || exit", "settings of a site; no waiting line"),
        ),
    },
    "release": {OPTIONS: (("pylock release --fd 9", "before the script ends"),)},
    "held": {
        OPTIONS: (("pylock held -d /srv/locks backup || exit", "a script that others are to lock"),),
    },
    "check": {
        OPTIONS: (
            ("pylock check /srv/locks --peer 'ssh host2'", "both hosts see each other's locks"),
            ("pylock check -d /srv/locks --timeout 3", "a server that is slower is away"),
        ),
    },
    "init": {
        OPTIONS: (
            ("pylock init -d /srv/locks --group batch", "for the members of one group"),
            ("pylock init /srv/locks --force", "from now on for everybody"),
        )
    },
    "clean": {OPTIONS: (("pylock clean -d /srv/locks --dry-run", "see first"),)},
    "completion": {
        OPTIONS: (
            ("pylock completion bash > ~/.bash_completion", "or eval it in ~/.bashrc; in zsh behind compinit"),
            ("pylock completion fish | source", "in config.fish"),
            ("pylock completion --answer -- run --mode ''", "the modes"),
            ("pylock completion --line 'pylock run --mode=' -- ' =:'", "the same, as bash asks for it"),
        ),
    },
    "flom": {
        flom.RESOURCE: (
            ("pylock flom -r 'licence[5]' -q 2 -- ./simulate", "2 of 5 units"),
            ("pylock flom -r red.green.blue -- echo", "prints the element that was free"),
        ),
        flom.COMMAND: (
            ("pylock flom --ignore-signal=SIGTERM -- ./deploy", "let go only after the command has cleaned up"),
        ),
        flom.OWN: (("pylock flom --install ~/bin", "moves a site over: scripts and cron find flom there"),),
    },
}
