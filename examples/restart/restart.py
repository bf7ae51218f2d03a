from shlex import quote

from pyinfra import host
from pyinfra.operations import python, server

from pyinfra_ops import standalone_python


def restart() -> None:
    found = host.get_fact(standalone_python.Interpreters)
    for unit in (found or {}).get("outdated_units") or ():
        server.shell(name=f"Restart {unit}", commands=[f"systemctl restart {quote(unit)}"])


upgrade = standalone_python.interpreters(
    name="Upgrade 3.13",
    builds=["3.13"],
    state="latest",
)
python.call(
    name="Restart the services that run an older build",
    function=restart,
    _if=upgrade.did_change,
)
