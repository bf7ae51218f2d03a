# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The finisher: an unpacked build finishes its own installation, the same way on every system.

    <staging>/python/bin/python3 -I -B finish.py tree=<staging>/python final=<root>/<name> name=<name> ...

It checks that this interpreter is complete and runs from `tree`, replaces the paths of the build machine by `final`,
sets owner and permissions, writes the list of files and the receipt, and returns when all is on disk. It changes nothing
outside `tree`, follows no link to change a file, and uses no network.

With `carry=<name>` it copies the user packages of that build in `root=<root>`, which this build replaces.

With `started=0`, another Python runs it for a tree that can't be started on this machine. Nothing of the tree is
started, and the receipt says so. Later `confirm=<path>` runs the skipped checks, and writes the new receipt to that path.

Its parts are files beside it. Standard library only, Python 3.8 and later. It imports little, as a new tree has no
bytecode and every module has to be compiled: ``dataclasses`` alone takes longer than all the work here.

On standard output: ``key=value`` lines. Exit 0 after ``finished=ok``; exit 3 after ``failure=CODE`` and
``detail=ONE LINE``, where CODE is one of `Code`.
"""

from __future__ import annotations

import errno
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Literal

    from . import disk, files, interpreter, measure, receipt, sbom

    Code = Literal[
        "arguments",  # a key is missing, unknown or unreadable
        "prefix",  # this interpreter runs from elsewhere than `tree`
        "version",  # it reports another version than expected
        "module",  # a module of the build can't be imported
        "content",  # a file of the list is missing
        "patch",  # sysconfig data can't be read
        "bytecode",  # no Python here can compile for the build
        "account",  # unknown user or group
        "permission",
        "space",
        "io",
    ]

PLACES = ("tree", "final", "root")
TEXTS = (
    *("name", "version", "release", "triple", "options", "flavor", "filename", "sha256", "url"),
    *("owner", "group", "mode", "certificates", "certificates_file", "tool", "attested"),
)
MODULES = "modules"  # MODULE:EXTENSION words: the modules to try
CARRY = "carry"  # the build in `root` whose user packages are copied
SWITCHES = ("externally_managed", "compile_bytecode", "patch_sysconfig", "started")
FORMER = ("former",)  # the prefix that the tree was finished for before
IDS = ("uid", "gid")  # owner and group as numbers, where the names are another machine's
RECEIPT = ".standalone-python/receipt.json"
SCHEMA = 1
WINDOWS = os.name == "nt"

VENV, PIP = ("python -m venv PATH", r"PATH\Scripts\pip") if WINDOWS else ("python3 -m venv PATH", "PATH/bin/pip")
EXTERNALLY_MANAGED = """\
[externally-managed]
Error=This Python is kept by standalone-python and may be replaced at any time: what is
 installed into it would be lost, and would reach every user of this host.

 Make a virtual environment and install there:

     {venv}
     {pip} install PACKAGE

 Or use a tool that does so for you, such as pipx. To lift this for every build,
 declare externally_managed: false; for one command, pass --break-system-packages.
""".format(venv=VENV, pip=PIP)


def sent(name: str) -> Any:
    """Load the module beside this file; None if it was not sent, as not every build needs it.

    -I imports nothing from this folder, and importlib would have to be compiled first.
    """
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
    if not os.path.isfile(path):
        return None
    module = type(sys)(name)
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), module.__dict__)  # noqa: S102
    return module


if not TYPE_CHECKING:
    disk, files, interpreter, measure, receipt, sbom = map(sent, ("disk", "files", "interpreter", "measure", "receipt", "sbom"))


class Failure(Exception):
    """The build can't be finished: a code and a sentence for the user."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Job:
    """The values of the command line: texts, and switches as bool."""

    __slots__ = ("switches", "texts")

    def __init__(self, texts: Mapping[str, str], switches: Mapping[str, bool]) -> None:
        self.texts = texts
        self.switches = switches

    def __getitem__(self, key: str) -> str:
        return self.texts[key]


def parse_arguments(arguments: Iterable[str]) -> Job:
    """Return the Job of ``key=value`` words.

    :raises Failure: a key is unknown, or a required one is missing
    """
    given = {"started": "1", "certificates": "build"}
    given.update(word.partition("=")[::2] for word in arguments)
    unknown = sorted(given.keys() - {*PLACES, *TEXTS, *SWITCHES, *IDS, MODULES, CARRY, *FORMER})
    if unknown:
        raise Failure("arguments", "unknown keys: %s" % ", ".join(unknown))
    for key in SWITCHES:
        if given.get(key) not in ("0", "1"):
            raise Failure("arguments", "%s must be 0 or 1, not %r" % (key, given.get(key, "")))
    for key in ("tree", "final", "name", "version", MODULES):
        if not given.get(key):
            raise Failure("arguments", "%s is missing" % key)
    parse_mode(given.get("mode", ""))
    texts = {key: given.get(key, "") for key in (*PLACES, *TEXTS, *IDS, MODULES, CARRY, *FORMER)}
    return Job(texts, {key: given[key] == "1" for key in SWITCHES})


def parse_modules(text: str) -> dict[str, str]:
    """Return ``MODULE:EXTENSION`` words as a dict."""
    return dict(word.split(":") for word in text.split())


def parse_mode(text: str) -> int:
    """Return the mode of folders and executables; set-uid, set-gid and sticky bits are errors."""
    try:
        mode = int(text or "0755", 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise Failure("arguments", "mode must be octal from 0000 to 0777, such as 0755, not %r" % text)
    return mode


# Paths of the build machine


def patch_scripts(folder: str, former: str, prefix: str) -> list[str]:
    """Replace `former` by `prefix` in the first lines of scripts, users' scripts included; return the changed paths."""
    paths = sent("paths")
    changed = []
    for name in sorted(os.listdir(folder)):
        path = folder + "/" + name
        if os.path.islink(path) or not os.path.isfile(path):
            continue
        with open(path, "rb") as script:
            if script.read(2) != b"#!":
                continue
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            text = file.read()
        fresh = paths.patch_script(text, former, prefix)
        if fresh != text:
            disk.write(path, fresh)
            changed.append(path)
    return changed


def patch_tree(library: str, prefix: str, former: str) -> list[str]:
    """Replace the build machine's paths by `prefix`; return the changed files, and their bytecode, which is removed."""
    paths = sent("paths")
    changed = []
    for path, patch in paths.patches(library):
        if os.path.islink(path):
            continue
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            text = file.read()
        try:
            fresh = patch(paths.unfinished(text, former) if former else text, prefix)
        except paths.Unreadable as reason:
            raise Failure("patch", str(reason)) from reason
        if fresh != text:
            changed += disk.rewrite(path, fresh)
    return changed


def patch_ssl(library: str, file: str) -> list[str]:
    """Make ``ssl.py`` trust the certificates in `file` of the host; return the changed files."""
    certificates = sent("certificates")
    path = library + "/ssl.py"
    with open(path, encoding="utf-8", newline="") as module:
        text = module.read()
    try:
        fresh = certificates.with_addition(text, file)
    except certificates.Unknown as reason:
        raise Failure("patch", str(reason)) from reason
    return disk.rewrite(path, fresh) if fresh != text else []


# Bytecode


def compile_tree(tree: str, final: str, library: str, version: str, *, own: bool) -> None:
    bytecode = sent("bytecode")
    try:
        python = sys.executable if own else bytecode.compiler(version)
        bytecode.compile_tree(python, os.path.abspath(__file__), tree, final, library)
    except bytecode.Unable as reason:
        raise Failure("bytecode", str(reason)) from reason


def identity(text: str, module: str, function: str, field: str) -> int:
    """Return the number of a user or group given by name or number; -1 if none is given."""
    if not text or WINDOWS:
        return -1
    if text.isdigit():
        return int(text)
    try:
        return int(getattr(getattr(__import__(module), function)(text), field))
    except (KeyError, ImportError):
        kind = "user" if module == "pwd" else "group"
        raise Failure("account", "the %s %s does not exist on this host" % (kind, text)) from None


def carry_packages(job: Job, tree: str, library: str, entries: dict[str, str], access: files.Access) -> dict[str, object]:
    """Copy the user packages of the build that this one replaces; return the receipt's fields about it."""
    carry = sent("carry") if job[CARRY] else None
    if carry is None:
        return {"carried": 0, "carried_files": 0, "not_carried": []}
    carried = carry.bring(
        disk.as_it_is(os.path.join(os.path.realpath(job["root"]), job[CARRY])),
        tree,
        os.path.relpath(library, tree).replace(os.sep, "/"),
        entries,
        sent("launchers"),
        was=os.path.join(os.path.dirname(job["final"]), job[CARRY]),
        final=job["final"],
        owner=access.owner,
        group=access.group,
    )
    for path in carried.removed:
        entries.pop(path, None)
    return {"carried": carried.packages, "carried_files": carried.files, "not_carried": carried.named()}


def write_sbom(name: str, path: str, entries: dict[str, str], measured: Mapping[str, str]) -> None:
    """Write the list of components to `path`, and its checksum into `entries`, if its template was sent."""
    template = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".cdx")
    if not os.path.isfile(template):
        return
    with open(template, encoding="utf-8") as file:
        disk.write(path, sbom.completed(file.read(), measured))
    entries[files.SBOM] = files.digest_of(path)


def confirm(tree: str, path: str, modules: str) -> dict[str, object]:
    """Tries what `finish` left out with ``started=0``; the receipt that says so goes to `path`.

    :raises Failure: the build isn't whole
    """
    import json

    tree = os.path.realpath(tree)
    before = os.path.join(tree, RECEIPT)
    with open(before, encoding="utf-8") as file:
        fields = json.load(file)
    interpreter.check_interpreter(tree, fields["version"])
    library = os.path.dirname(os.path.realpath(os.__file__))
    fields.update(
        started=True,
        missing=interpreter.missing_modules(parse_modules(modules), library, ()),
        components=measure.by_name(measure.versions(library) + measure.packages(library, fields.get("bundled", ""))),
    )
    disk.write(path, receipt.receipt_text(fields))
    status = os.lstat(before)
    os.chmod(path, stat.S_IMODE(status.st_mode))
    os.chown(path, status.st_uid, status.st_gid)
    moment = disk.source_date(os.environ)
    if moment is not None:
        os.utime(path, (moment, moment))
    disk.synchronise(tree, path)
    return {"finished": "ok"}


def finish(job: Job) -> dict[str, object]:
    """Finish the build; return the values to print.

    :raises OSError: a file can't be written
    """
    moment = disk.source_date(os.environ)
    tree, final, own = os.path.realpath(job["tree"]), job["final"], job.switches["started"]
    if own:
        interpreter.check_interpreter(tree, job["version"])
    library = os.path.dirname(os.path.realpath(os.__file__)) if own else files.library_of(tree)
    if WINDOWS:
        tree = disk.as_it_is(tree)
        library = files.at(tree, "Lib")
    access = files.Access(
        parse_mode(job["mode"]),
        identity(job["uid"] or job["owner"], "pwd", "getpwnam", "pw_uid"),
        identity(job["gid"] or job["group"], "grp", "getgrnam", "gr_gid"),
    )

    list_path = files.at(tree, files.LIST)
    delivered = os.path.isfile(list_path)
    entries = {}
    if delivered:
        with open(list_path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            entries = files.parse_list(file.read())
    entries.pop(files.SBOM, None)  # written anew
    modules = parse_modules(job[MODULES])
    tried: Callable[[], list[str]] = list
    if own:
        tried = interpreter.beside(
            lambda: interpreter.missing_modules(modules, library, entries),
            lambda: measure.versions(library),
        )

    changed: list[str] = []
    unpatched: list[str] = []
    if job.switches["patch_sysconfig"] and not WINDOWS:
        macho = sent("macho")
        if macho is not None:
            changed, unpatched = macho.set_install_names(os.path.dirname(library), final)
        changed += patch_tree(library, final, job["former"])
    if job["certificates_file"]:
        changed += patch_ssl(library, job["certificates_file"])
    if job["former"] and not WINDOWS:
        changed += patch_scripts(files.at(tree, "bin"), job["former"], final)
        # Users' files are in no list.
        changed = [path for path in changed if os.path.relpath(path, tree) in entries]
    if job.switches["externally_managed"]:
        changed.append(files.at(library, "EXTERNALLY-MANAGED"))
        disk.write(changed[-1], EXTERNALLY_MANAGED)
    again = job["former"] and job.switches["compile_bytecode"]
    compiled = {path for path in entries if again and path.endswith(".pyc") and os.path.lexists(files.at(tree, path))}
    for path in compiled:
        os.remove(files.at(tree, path))  # modules imported from bytecode would change the bytecode
    if job.switches["compile_bytecode"]:
        compile_tree(tree, final, library, job["version"], own=own)
    walked = files.walk(tree, access)
    renewed = {os.path.relpath(path, tree).replace(os.sep, "/") for path in changed}
    if job.switches["compile_bytecode"]:
        renewed.update(path for path in walked.files if path.endswith(".pyc") and (not job["former"] or path in entries))
        renewed.update(compiled)
    for path in files.stale_bytecode(tree, walked.files, moment):
        os.remove(files.at(tree, path))
        walked.files.remove(path)
        renewed.add(path)
    whole = (tree, walked.files, walked.links)
    entries = files.reconcile(tree, entries, walked, renewed) if delivered else files.digests(*whole)

    brought = carry_packages(job, tree, library, entries, access)
    bundled = files.bundled_packages(entries)
    found = tried() + (measure.packages(library, bundled) if own else [])
    measured = measure.by_name(found)
    os.makedirs(os.path.join(tree, files.FOLDER), exist_ok=True)
    write_sbom(job["name"], files.at(tree, files.SBOM), entries, measured)
    disk.write(list_path, files.format_list(entries))
    said: dict[str, object] = {
        "executable": files.executable_of(
            tree, job["version"], getattr(sys, "abiflags", "") if own else "t" * ("freethreaded" in job["options"])
        ),
        "modules": files.count_modules(tree),
        "files": len(entries),
    }
    fields = dict({key: job[key] for key in TEXTS}, **job.switches, **said)
    fields.update(
        schema=SCHEMA,
        prefix=final,
        implementation=sys.implementation.name,
        files_sha256=files.digest_of(list_path),
        installed_at=receipt.installed_at(moment),
        missing=[text for text in found if "=" not in text],
        components=measured,
        unpatched=unpatched,
        bundled=bundled,
        **brought,
    )
    receipt_path = files.at(tree, RECEIPT)
    disk.write(receipt_path, receipt.receipt_text(fields))
    own_files = (list_path, receipt_path, *([files.at(tree, files.SBOM)] if files.SBOM in entries else []))
    for path in (*own_files, os.path.join(tree, files.FOLDER), tree) if not WINDOWS else ():
        access.apply(path, os.lstat(path))
    if moment is not None:
        disk.set_times(tree, moment)
    disk.synchronise(tree, receipt_path)
    return dict(finished="ok", **said)


ERRORS = {
    errno.ENOSPC: "space",
    getattr(errno, "EDQUOT", -1): "space",
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EROFS: "permission",
}


def report(code: str, detail: str) -> int:
    print("failure=%s" % code)
    print("detail=%s" % " ".join(detail.split()))
    return 3


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["compile"]:
        sent("bytecode").compile_share(disk.patiently, *arguments[1:])
        return 0
    given = dict(word.partition("=")[::2] for word in arguments)
    try:
        said = (
            confirm(given["tree"], given["confirm"], given[MODULES]) if "confirm" in given else finish(parse_arguments(arguments))
        )
    except (Failure, files.Incomplete, interpreter.Broken) as failure:
        return report(failure.code, str(failure))
    except OSError as error:
        return report(ERRORS.get(error.errno or 0, "io"), "%s: %s" % (error.strerror or error, error.filename or ""))
    except Exception as error:
        import traceback

        traceback.print_exc()
        return report("io", "unexpected %s: %s" % (type(error).__name__, error))
    for key, value in said.items():
        print("%s=%s" % (key, value))
    return 0


if __name__ == "__main__":
    # Many paths have letters that Windows' code page lacks; the caller reads UTF-8.
    encoding = {"encoding": "utf-8"} if WINDOWS else {}
    getattr(sys.stdout, "reconfigure", lambda **options: None)(errors="backslashreplace", **encoding)
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # skips the interpreter's cleanup, which takes 5 ms
