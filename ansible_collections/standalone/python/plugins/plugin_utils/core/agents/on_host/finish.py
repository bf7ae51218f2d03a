# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The finisher: a build that was just unpacked finishes its own installation, the same way on every system.

    <staging>/python/bin/python3 -I -B finish.py tree=<staging>/python final=<root>/<name> name=<name> ...

It checks that this interpreter is whole and runs from `tree`, makes the build-time paths that upstream
captured true for `final`, sets permissions, leaves the list of files and the receipt, and returns when all is
on disk. It never touches anything outside `tree`, never follows a link to change what it leads to, and never
uses the network.

With `carry=<name>` it copies what users installed into that build of `root=<root>`, which this one replaces.

With `started=0` it is run by another Python instead, for a tree that can't be started on this machine: nothing of
the tree is started, and the receipt says so. There `confirm=<path>` tries later what was left out, and writes to
that path the receipt that says so.

Standard library only, Python 3.8 and later. What is imported is kept small on purpose: a fresh tree has no
bytecode, so every module costs its compilation: ``dataclasses`` alone more than all the work done here.

On standard output: ``key=value`` lines. Exit 0 after ``finished=ok``; exit 3 after ``failure=CODE`` and
``detail=ONE LINE``, where CODE is one of `CODES`.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

CODES = (
    "arguments",  # a key is missing, unknown or unreadable
    "prefix",  # this interpreter runs from elsewhere than `tree`
    "version",  # it reports another version than promised
    "module",  # a module that the build has can't be imported
    "content",  # a file of the list is not there
    "patch",  # sysconfig data that can't be understood
    "bytecode",  # no Python here that compiles for the build
    "account",  # there is no such user or group
    "permission",
    "space",
    "io",
)
PLACES = ("tree", "final", "root")
TEXTS = (
    *("name", "version", "release", "triple", "options", "flavor", "filename", "sha256", "url"),
    *("owner", "group", "mode", "tool"),
)
CARRY = "carry"  # the name of the build in `root` whose user packages come along
SWITCHES = ("externally_managed", "compile_bytecode", "patch_sysconfig", "started")
FORMER = ("former",)  # where the tree was finished before, if it is finished again
IDS = ("uid", "gid")  # what owner and group are where their names are not this machine's
# Module -> the extension it stands on: without that one the build lacks the module.
MODULES = {
    "ssl": "_ssl",
    "sqlite3": "_sqlite3",
    "ctypes": "_ctypes",
    "zlib": "zlib",
    "lzma": "_lzma",
    "hashlib": "_hashlib",
}
FOLDER = ".standalone-python"
LIST = FOLDER + "/files.sha256"
RECEIPT = FOLDER + "/receipt.json"
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


class Failure(Exception):
    """The build can't be finished: a code of `CODES` and one sentence for the user."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class Job:
    """What was asked: the keys of the command line, texts as they came, switches as bool."""

    __slots__ = ("switches", "texts")

    def __init__(self, texts: Mapping[str, str], switches: Mapping[str, bool]) -> None:
        self.texts = texts
        self.switches = switches

    def __getitem__(self, key: str) -> str:
        return self.texts[key]


def parse_arguments(arguments: Iterable[str]) -> Job:
    """``key=value`` words -> Job. All keys but owner, group, mode, options, url, root and carry must have a value."""
    given = {"started": "1"}
    given.update(word.partition("=")[::2] for word in arguments)
    unknown = sorted(given.keys() - {*PLACES, *TEXTS, *SWITCHES, *IDS, CARRY, *FORMER})
    if unknown:
        raise Failure("arguments", "unknown key %s" % ", ".join(unknown))
    for key in SWITCHES:
        if given.get(key) not in ("0", "1"):
            raise Failure("arguments", "%s must be 0 or 1, not %r" % (key, given.get(key, "")))
    for key in ("tree", "final", "name", "version"):
        if not given.get(key):
            raise Failure("arguments", "%s=... is missing" % key)
    parse_mode(given.get("mode", ""))
    texts = {key: given.get(key, "") for key in (*PLACES, *TEXTS, *IDS, CARRY, *FORMER)}
    return Job(texts, {key: given[key] == "1" for key in SWITCHES})


def parse_mode(text: str) -> int:
    """Octal text -> mode of folders and executables; set-uid, set-gid and sticky bits are refused."""
    try:
        mode = int(text or "0755", 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise Failure("arguments", "mode must be octal from 0000 to 0777, such as 0755, not %r" % text)
    return mode


# Is this interpreter whole?


def check_interpreter(tree: str, version: str) -> None:
    """A CPython whose library is missing falls back, silently, to the folder it was built for."""
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
        found = getattr(sys, name)
        if os.path.realpath(found) != tree:
            raise Failure("prefix", "the interpreter of %s runs with sys.%s %s" % (tree, name, found))
    if not os.path.realpath(os.__file__ or "").startswith(tree + os.sep):
        raise Failure("prefix", "the interpreter of %s uses the library %s" % (tree, os.__file__))
    reported = sys.version.split()[0]
    if reported != version:
        raise Failure("version", "promised was %s, but the interpreter reports %s" % (version, reported))


def missing_modules(library: str, carried: Callable[[str], bool]) -> list[str]:
    """Those of `MODULES` that this build lacks; any other that is not whole is a failure.

    Its extension is loaded, for which a host can lack something. The rest of it are files that have only to be there: they came
    with the archive, whose sum agreed, and to compile them would take four times as long.
    """
    missing = []
    for name, extension in sorted(MODULES.items()):
        try:
            written = [at(library, name + end) for end in (".py", "/__init__.py", ".pyc", "/__init__.pyc")]
            if name != extension and not any(map(os.path.isfile, written)):
                raise ModuleNotFoundError("No module named '%s'" % name, name=name)
            __import__(extension)
        except Exception as error:
            lacking = isinstance(error, ModuleNotFoundError) and error.name in (name, extension)
            if not lacking or carried(extension):
                raise Failure("module", "import %s: %s: %s" % (name, type(error).__name__, error)) from error
            missing.append(name)
    return missing


def beside(work: Callable[[], list[str]]) -> Callable[[], list[str]]:
    """Starts `work` in a process of its own; call the result for what `work` gave or raised.

    A third of this program's time is the loading of the extensions to be checked, which needs nothing else.
    """
    if not hasattr(os, "fork"):
        return work
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                text = "ok\n" + "\n".join(work())
            except Failure as failure:
                text = "%s\n%s" % (failure.code, " ".join(str(failure).split()))
            os.write(writing, text.encode("utf-8", "backslashreplace"))
        finally:
            os._exit(0)
    os.close(writing)

    def result() -> list[str]:
        with open(reading, encoding="utf-8") as pipe:
            code, *lines = pipe.read().split("\n")
        status = os.waitpid(child, 0)[1]
        if code == "ok":
            return [line for line in lines if line]
        if not code:
            raise Failure("module", "the interpreter died (wait status %d) while importing modules" % status)
        raise Failure(code, "".join(lines))

    return result


def carries(extension: str, library: str, listed: Iterable[str]) -> bool:
    """Whether the build has, or should have by its list, the extension module."""
    if extension in sys.builtin_module_names:
        return True
    folder = at(os.path.dirname(library), "DLLs") if WINDOWS else library + "/lib-dynload"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    here = any(name.startswith(extension + ".") for name in names)
    return here or any("lib-dynload/%s." % extension in path or "DLLs/%s." % extension in path for path in listed)


# Paths and files


def at(folder: str, relative: str) -> str:
    """A path of the list, in `folder`. Windows takes no ``/`` in a path that it is told to take as it is."""
    return os.path.join(folder, *relative.split("/"))


def as_it_is(path: str) -> str:
    """On Windows, the path in the form that may be longer than 260 characters."""
    if not WINDOWS or path.startswith("\\\\?\\"):
        return path
    return "\\\\?\\UNC" + path[1:] if path.startswith("\\\\") else "\\\\?\\" + path


def write(path: str, text: str) -> None:
    """Replaces `path` by a new file, so that a hard link elsewhere in the tree keeps its content."""
    fresh = path + ".new"
    with open(fresh, "w", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        file.write(text)
    if os.path.lexists(path):
        os.chmod(fresh, stat.S_IMODE(os.lstat(path).st_mode))
    patiently(lambda: os.replace(fresh, path))


def patiently(work: Callable[[], object]) -> None:
    """On Windows, again for two seconds: what looks through new files there (a virus scanner) holds them for a moment."""
    for _attempt in range(20 if WINDOWS else 0):
        try:
            work()
            return
        except PermissionError:
            time.sleep(0.1)
    work()


# Paths of the build machine


def patch_scripts(folder: str, former: str, prefix: str) -> list[str]:
    """Makes the first lines of scripts true, also of those that a user installed; the paths that changed."""
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
            write(path, fresh)
            changed.append(path)
    return changed


def patch_tree(library: str, prefix: str, former: str) -> list[str]:
    """Makes the tree's files true for `prefix`; the paths that changed or, bytecode of such, were removed."""
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
        if fresh == text:
            continue
        write(path, fresh)
        changed.append(path)
        cache, stem = os.path.dirname(path) + "/__pycache__", os.path.basename(path)[:-2]
        for name in os.listdir(cache) if path.endswith(".py") and os.path.isdir(cache) else ():
            if name.startswith(stem):
                os.remove(cache + "/" + name)
                changed.append(cache + "/" + name)
    return changed


def sent(name: str) -> Any:
    """The module that was sent beside this file; None where it wasn't, as some builds don't need it.

    By its path, as nothing else in this folder may be taken for a module, and -I looks into none; and without importlib's
    own means to do so, which would have to be compiled first.
    """
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name + ".py")
    if not os.path.isfile(path):
        return None
    module = type(sys)(name)
    with open(path, encoding="utf-8") as file:
        exec(compile(file.read(), path, "exec"), module.__dict__)  # noqa: S102
    return module


def patch_libraries(folder: str, prefix: str) -> tuple[list[str], list[str]]:
    """Makes the install name of macOS' libpython true for `prefix`: the paths that changed, and why others didn't."""
    names = [name for name in sorted(os.listdir(folder)) if name.startswith("libpython") and name.endswith(".dylib")]
    names = [name for name in names if not os.path.islink(folder + "/" + name)]
    macho = sent("macho") if names else None
    changed: list[str] = []
    unchanged: list[str] = []
    if macho is None:
        return changed, unchanged
    for name in names:
        try:
            if macho.make_true(folder + "/" + name, "%s/lib/%s" % (prefix, name)):
                changed.append(folder + "/" + name)
        except macho.Unchanged as reason:
            unchanged.append("lib/%s keeps the install name that it was built with: %s" % (name, reason))
    return changed, unchanged


# Bytecode


def compile_tree(tree: str, final: str, library: str, version: str, *, own: bool) -> None:
    bytecode = sent("bytecode")
    try:
        python = sys.executable if own else bytecode.compiler(version)
        bytecode.compile_tree(python, os.path.abspath(__file__), tree, final, library)
    except bytecode.Unable as reason:
        raise Failure("bytecode", str(reason)) from reason


def stale_bytecode(tree: str, files: Iterable[str], moment: int | None) -> list[str]:
    """Return the bytecode of the archive that records another time than its source has, or will have if `moment` is given.

    Python replaces such a file at the first import, and the build would then differ from its list.
    """
    stale = []
    for path in files:
        folder, cached, name = path.rpartition("__pycache__/")
        if not cached or not name.endswith(".pyc"):
            continue
        try:
            modified = int(os.stat(at(tree, folder + name.partition(".")[0] + ".py")).st_mtime)
        except FileNotFoundError:
            continue
        with open(at(tree, path), "rb") as file:
            header = file.read(16)  # PEP 552: magic number, flags, time and size of the source
        expected = (modified if moment is None else moment) & 0xFFFFFFFF
        if header[4:8] == bytes(4) and int.from_bytes(header[8:12], "little") != expected:
            stale.append(path)
    return stale


# The tree's files


class Walked:
    """What one walk found: paths relative to the tree, with ``/``; of links, where they lead."""

    __slots__ = ("files", "links")

    def __init__(self) -> None:
        self.files: list[str] = []
        self.links: dict[str, str] = {}


class Access:
    """Who owns everything (-1: left alone) and what may be done: `mode` for folders and executables, the same
    without execution for other files."""

    __slots__ = ("group", "mode", "owner")

    def __init__(self, mode: int, owner: int, group: int) -> None:
        self.mode, self.owner, self.group = mode, owner, group

    def settle(self, path: str, status: os.stat_result) -> None:
        """Makes it so where it differs. A link has an owner but no mode of its own, and is not followed."""
        owned = self.owner in (-1, status.st_uid) and self.group in (-1, status.st_gid)
        if not owned:
            os.chown(path, self.owner, self.group, follow_symlinks=False)
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFLNK:
            return
        wanted = self.mode if kind == stat.S_IFDIR or status.st_mode & 0o111 else self.mode & ~0o111
        if stat.S_IMODE(status.st_mode) != wanted:
            os.chmod(path, wanted)


def walk(tree: str, access: Access) -> Walked:
    """Settles everything in `tree` but `FOLDER`, in one walk; what it found.

    :raises Failure: ``content`` for what is neither file, folder nor link
    """
    walked = Walked()

    def visit(folder: str, relative: str) -> None:
        with os.scandir(folder) as entries:
            for entry in entries:
                path = relative + entry.name
                if path == FOLDER:
                    continue
                status = entry.stat(follow_symlinks=False)
                kind = stat.S_IFMT(status.st_mode)
                if kind == stat.S_IFREG:
                    walked.files.append(path)
                elif kind == stat.S_IFLNK:
                    walked.links[path] = os.readlink(entry.path).replace(os.sep, "/")
                elif kind == stat.S_IFDIR:
                    # What is inside comes first: a mode that forbids searching must not stop the walk.
                    visit(entry.path, path + "/")
                else:
                    raise Failure("content", "%s is neither a file, a folder nor a link" % path)
                if not WINDOWS:
                    access.settle(entry.path, status)

    visit(tree, "")
    return walked


def identity(text: str, module: str, function: str, field: str) -> int:
    """The number of a user or group given by name or number; -1 for none given."""
    if not text or WINDOWS:
        return -1
    if text.isdigit():
        return int(text)
    try:
        return int(getattr(getattr(__import__(module), function)(text), field))
    except (KeyError, ImportError):
        kind = "user" if module == "pwd" else "group"
        raise Failure("account", "there is no %s %s on this host" % (kind, text)) from None


def leading_to(links: Mapping[str, str], changed: set[str]) -> set[str]:
    """The links that lead to one of `changed`, through other links too."""
    aims = {link: os.path.normpath(os.path.join(os.path.dirname(link), aim)).replace(os.sep, "/") for link, aim in links.items()}
    found = set(changed)
    while True:
        more = {link for link, aim in aims.items() if aim in found and link not in found}
        if not more:
            return found - changed
        found |= more


def parse_list(text: str) -> dict[str, str]:
    """``HEX  path`` lines -> path: HEX."""
    lines = text.split("\n")[:-1]
    bad = [number for number, line in enumerate(lines, 1) if line[64:66] != "  " or not line[66:]]
    if bad or (text and not text.endswith("\n")):
        raise Failure("content", "line %d of %s can't be read" % ((bad or [len(lines) + 1])[0], LIST))
    return {line[66:]: line[:64] for line in lines}


def format_list(entries: Mapping[str, str]) -> str:
    return "".join("%s  %s\n" % (entries[path], path) for path in sorted(entries))


def digest_of(path: str) -> str:
    import hashlib

    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def digests(tree: str, files: Iterable[str], links: Iterable[str]) -> dict[str, str]:
    """Path -> sha256 of its content: for files, and for links that lead to a file inside the tree."""
    found = {path: digest_of(at(tree, path)) for path in files}
    for path in links:
        real = os.path.realpath(at(tree, path))
        if real.startswith(tree + os.sep) and os.path.isfile(real):
            aim = os.path.relpath(real, tree).replace(os.sep, "/")
            found[path] = found.get(aim) or digest_of(real)
    return found


def reconcile(tree: str, entries: Mapping[str, str], walked: Walked, changed: set[str]) -> dict[str, str]:
    """The list as it is now: entries of what `changed` (or was removed) renewed, the others as they came.

    :raises Failure: ``content`` for a listed file that is not there
    """
    here = {*walked.files, *walked.links}
    lost = sorted(entries.keys() - here - changed)
    # Where names that differ only in case are one file, the walk saw one, with the content of the last.
    merged = [path for path in lost if os.path.lexists(at(tree, path))]
    gone = [path for path in lost if path not in merged]
    if gone:
        more = " and %d more" % (len(gone) - 1) if len(gone) > 1 else ""
        raise Failure("content", "%s%s of the build's list is not there" % (gone[0], more))
    if merged:
        folded = {path.casefold() for path in merged}
        changed = changed | {path for path in here if path.casefold() in folded}
    changed = changed | leading_to(walked.links, changed)
    kept = {path: digest for path, digest in entries.items() if path in here and path not in changed}
    fresh = digests(tree, changed.intersection(walked.files), changed.intersection(walked.links))
    return {**kept, **fresh}


def count_modules(tree: str) -> int:
    """How many entries the standard library's folder and lib-dynload have, as observe.sh counts them."""

    def count(folder: str) -> int:
        names = os.listdir(folder) if os.path.isdir(folder) else []
        return sum(name[0] != "." and name != "__pycache__" for name in names)

    if WINDOWS:
        return count(at(tree, "Lib")) + count(at(tree, "DLLs"))
    libraries = [tree + "/lib/" + name for name in os.listdir(tree + "/lib") if name.startswith("python3.")]
    return sum(count(library) + count(library + "/lib-dynload") for library in libraries)


def executable_of(tree: str, version: str, flags: str) -> str:
    """The interpreter, relative to the tree."""
    minor = ".".join(version.split(".")[:2])
    names = ["bin/python" + minor, "bin/python" + minor + flags, "bin/python3", "python.exe"]
    for name in names:
        if os.path.exists(at(tree, name)):
            return name
    raise Failure("content", "the build has none of %s" % ", ".join(names))


def bundled_packages(files: Iterable[str]) -> str:
    """The folders in site-packages that describe the packages which the build itself brings, with spaces between them."""
    parts = (path.split("/site-packages/", 1)[-1].partition("/")[0] for path in files if "/site-packages/" in path)
    return " ".join(sorted({part for part in parts if part.endswith(".dist-info")}))


def carry_packages(job: Job, tree: str, library: str, entries: dict[str, str], access: Access) -> dict[str, object]:
    """Copies the user packages of the build that this one replaces; what the receipt says of it."""
    carry = sent("carry") if job[CARRY] else None
    if carry is None:
        return {"carried": 0, "carried_files": 0, "not_carried": []}
    carried = carry.bring(
        as_it_is(os.path.join(os.path.realpath(job["root"]), job[CARRY])),
        tree,
        os.path.relpath(library, tree).replace(os.sep, "/"),
        entries,
        was=os.path.join(os.path.dirname(job["final"]), job[CARRY]),
        final=job["final"],
        owner=access.owner,
        group=access.group,
    )
    for path in carried.removed:
        entries.pop(path, None)
    return {"carried": carried.packages, "carried_files": carried.files, "not_carried": carried.named()}


# Receipt and disk


def json_text(value: object) -> str:
    """A text, number, bool or list of them as json.dumps writes it; importing that one costs 15 ms."""
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').encode("utf-16-be", "surrogatepass")
        units = [escaped[at] << 8 | escaped[at + 1] for at in range(0, len(escaped), 2)]
        short = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r"}
        return '"%s"' % "".join(chr(unit) if 32 <= unit < 127 else short.get(unit, "\\u%04x" % unit) for unit in units)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(map(json_text, value)) + "]"
    return str(value)


def receipt_text(fields: Mapping[str, object]) -> str:
    """A JSON object, sorted, one key a line: an agent without a JSON parser reads it line by line."""
    lines = ",\n".join(" %s: %s" % (json_text(key), json_text(fields[key])) for key in sorted(fields))
    return "{\n%s\n}\n" % lines


def source_date(environment: Mapping[str, str]) -> int | None:
    """SOURCE_DATE_EPOCH (reproducible-builds.org), in seconds."""
    epoch = environment.get("SOURCE_DATE_EPOCH", "")
    return int(epoch) if epoch.isascii() and epoch.isdigit() and len(epoch) < 19 else None


def installed_at(moment: int | None) -> str:
    """UTC in ISO 8601, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def set_times(tree: str, moment: int) -> None:
    """Everything in `tree`, links and folders too, has this one time."""
    follow = os.utime not in os.supports_follow_symlinks
    for folder, folders, files in os.walk(tree):
        for name in (*files, *folders):
            path = os.path.join(folder, name)
            if not (follow and os.path.islink(path)):
                os.utime(path, (moment, moment), follow_symlinks=follow)
    os.utime(tree, (moment, moment))


def synchronise(tree: str, receipt: str) -> None:
    """Everything of the tree is on disk when this returns, as far as the system offers that.

    On Windows only an administrator may ask for a whole volume. One by one would take many seconds, and leave out what
    this interpreter runs from, so for other users only the receipt is, and Windows writes the rest when it pleases.
    """
    if WINDOWS:
        with open(receipt, "r+b") as file:
            os.fsync(file.fileno())
        flush_volume(tree)
        return
    folder = os.open(tree, os.O_RDONLY)
    try:
        if not sync_file_system(folder):
            os.sync()
    finally:
        os.close(folder)
    if sys.platform == "darwin":
        import fcntl

        with open(receipt, "rb") as file:
            fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)


def flush_volume(tree: str) -> None:
    """Source: Microsoft's page on FlushFileBuffers."""
    drive = os.path.splitdrive(os.path.realpath(tree))[0].replace("\\\\?\\", "")
    try:
        with open("\\\\.\\" + drive, "r+b", buffering=0) as volume:
            os.fsync(volume.fileno())
    except OSError:
        pass  # not an administrator, or no volume of this machine


def sync_file_system(descriptor: int) -> bool:
    """syncfs(2), where the C library has it and this build has ctypes; an error of the disk is raised."""
    try:
        import ctypes

        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except (ImportError, OSError, AttributeError):
        return False
    if syncfs(descriptor) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL):
        return False
    raise OSError(code, os.strerror(code))


def library_of(tree: str) -> str:
    """The standard library's folder of a tree whose interpreter isn't this one."""
    found = [tree + "/lib/" + name for name in sorted(os.listdir(tree + "/lib")) if name.startswith("python3.")]
    for folder in found:
        if os.path.isfile(folder + "/os.py") and os.path.realpath(folder) == folder:
            return folder
    raise Failure("content", "the build has no lib/python3.*/os.py")


def confirm(tree: str, receipt: str) -> dict[str, object]:
    """Tries what `finish` left out with ``started=0``; the receipt that says so goes to the path `receipt`.

    :raises Failure: the build isn't whole
    """
    import json

    tree = os.path.realpath(tree)
    before = os.path.join(tree, RECEIPT)
    with open(before, encoding="utf-8") as file:
        fields = json.load(file)
    check_interpreter(tree, fields["version"])
    library = os.path.dirname(os.path.realpath(os.__file__))
    fields.update(started=True, missing=missing_modules(library, lambda extension: carries(extension, library, ())))
    write(receipt, receipt_text(fields))
    status = os.lstat(before)
    os.chmod(receipt, stat.S_IMODE(status.st_mode))
    os.chown(receipt, status.st_uid, status.st_gid)
    moment = source_date(os.environ)
    if moment is not None:
        os.utime(receipt, (moment, moment))
    synchronise(tree, receipt)
    return {"finished": "ok"}


def finish(job: Job) -> dict[str, object]:
    """Does it all; what to print.

    :raises Failure: with what a user must know
    :raises OSError: the disk said no
    """
    moment = source_date(os.environ)
    tree, final, own = os.path.realpath(job["tree"]), job["final"], job.switches["started"]
    if own:
        check_interpreter(tree, job["version"])
    library = os.path.dirname(os.path.realpath(os.__file__)) if own else library_of(tree)
    if WINDOWS:
        tree = as_it_is(tree)
        library = at(tree, "Lib")
    access = Access(
        parse_mode(job["mode"]),
        identity(job["uid"] or job["owner"], "pwd", "getpwnam", "pw_uid"),
        identity(job["gid"] or job["group"], "grp", "getgrnam", "gr_gid"),
    )

    list_path = at(tree, LIST)
    delivered = os.path.isfile(list_path)
    entries = {}
    if delivered:
        with open(list_path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            entries = parse_list(file.read())
    tried: Callable[[], list[str]] = list
    if own:
        tried = beside(lambda: missing_modules(library, lambda extension: carries(extension, library, entries)))

    changed: list[str] = []
    unpatched: list[str] = []
    if job.switches["patch_sysconfig"] and not WINDOWS:
        changed, unpatched = patch_libraries(os.path.dirname(library), final)
        changed += patch_tree(library, final, job["former"])
    if job["former"] and not WINDOWS:
        changed += patch_scripts(at(tree, "bin"), job["former"], final)
        # What a user added is in no list.
        changed = [path for path in changed if os.path.relpath(path, tree) in entries]
    if job.switches["externally_managed"]:
        changed.append(at(library, "EXTERNALLY-MANAGED"))
        write(changed[-1], EXTERNALLY_MANAGED)
    again = job["former"] and job.switches["compile_bytecode"]
    compiled = {path for path in entries if again and path.endswith(".pyc") and os.path.lexists(at(tree, path))}
    for path in compiled:
        os.remove(at(tree, path))  # what is imported from bytecode would make other bytecode
    if job.switches["compile_bytecode"]:
        compile_tree(tree, final, library, job["version"], own=own)
    walked = walk(tree, access)
    renewed = {os.path.relpath(path, tree).replace(os.sep, "/") for path in changed}
    if job.switches["compile_bytecode"]:
        renewed.update(path for path in walked.files if path.endswith(".pyc") and (not job["former"] or path in entries))
        renewed.update(compiled)
    for path in stale_bytecode(tree, walked.files, moment):
        os.remove(at(tree, path))
        walked.files.remove(path)
        renewed.add(path)
    whole = (tree, walked.files, walked.links)
    entries = reconcile(tree, entries, walked, renewed) if delivered else digests(*whole)

    brought = carry_packages(job, tree, library, entries, access)
    os.makedirs(os.path.join(tree, FOLDER), exist_ok=True)
    write(list_path, format_list(entries))
    said: dict[str, object] = {
        "executable": executable_of(
            tree, job["version"], getattr(sys, "abiflags", "") if own else "t" * ("freethreaded" in job["options"])
        ),
        "modules": count_modules(tree),
        "files": len(entries),
    }
    fields = dict({key: job[key] for key in TEXTS}, **job.switches, **said)
    fields.update(
        schema=SCHEMA,
        prefix=final,
        implementation=sys.implementation.name,
        files_sha256=digest_of(list_path),
        installed_at=installed_at(moment),
        missing=tried(),
        unpatched=unpatched,
        bundled=bundled_packages(entries),
        **brought,
    )
    receipt = at(tree, RECEIPT)
    write(receipt, receipt_text(fields))
    for path in (list_path, receipt, os.path.join(tree, FOLDER), tree) if not WINDOWS else ():
        access.settle(path, os.lstat(path))
    if moment is not None:
        set_times(tree, moment)
    synchronise(tree, receipt)
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
        sent("bytecode").compile_share(patiently, *arguments[1:])
        return 0
    given = dict(word.partition("=")[::2] for word in arguments)
    try:
        said = confirm(given["tree"], given["confirm"]) if "confirm" in given else finish(parse_arguments(arguments))
    except Failure as failure:
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
    # Windows' code page has no letters for many paths; who reads this there is told that it is UTF-8.
    encoding = {"encoding": "utf-8"} if WINDOWS else {}
    getattr(sys.stdout, "reconfigure", lambda **options: None)(errors="backslashreplace", **encoding)
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # what an interpreter clears up at its end takes 5 ms, and nobody needs it
