# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``ansible-doc`` shows of the module. The action plugin of the same name does the work; no code belongs here."""

from __future__ import annotations

DOCUMENTATION = r"""
module: interpreters
short_description: Install and upgrade Python on hosts, even hosts that have no Python
version_added: 0.1.0
author:
  - standalone-python contributors (!UNKNOWN)
description:
  - Compares a host with the declared interpreters and makes only the changes that are needed. It installs, upgrades, repairs,
    relinks and removes builds of the python-build-standalone project. A second run changes nothing.
  - The host needs no Python. It needs a POSIX shell and what O(delivery) names, or PowerShell 5.1 or later on Windows.
  - An interpreter is unpacked, checked and started once in a staging folder. Then it gets its name and its links. A run that is
    killed leaves the host as it was; the next run clears what it left.
  - Only what this module installed is ever changed or removed, unless O(force=true).
extends_documentation_fragment:
  - standalone.python.host
options:
  builds:
    description:
      - The interpreters that the host must have.
      - 'Each is a request in text: V(3.13), V(3.13.1), V(>=3.12,<3.14), V(~=3.13.0), V(3.13t) or V(3.13+freethreaded),
        V(3.13d) or V(3.13+debug), V(3.13.1+20250115) for one release, V(3.13+v3) for one x86-64 level or V(3.13+auto) for the
        best one that the CPU has, V(3.16.0a2) or V(3.16-dev) for pre-releases. V(cpython-3.13) and V(cpython@3.13) mean V(3.13).'
      - 'Or each is a mapping with these keys: C(version), a request in text, required; C(variant), such as V(freethreaded),
        V(debug), V(v3) or V(auto); C(flavor), one of V(install_only_stripped), V(install_only) and V(full); C(release), a
        release as eight digits; C(default), a boolean, for the one build that C(python3) and C(python) lead to, see O(links);
        C(state), which stands for O(state) for this request alone.'
      - A request that names no variant means the plain optimised build. One that names no flavor takes the first that exists of
        V(install_only_stripped), V(install_only) and V(full).
      - Pre-releases count only where a request asks for them.
    type: list
    elements: raw
    required: true
  state:
    description:
      - With V(present), any sound build on the host that satisfies the request is enough. What is broken is repaired. Neither the
        catalogue nor the network is used for a request that is satisfied. Where there is an O(lockfile), it says which build.
      - With V(latest), the host gets the newest version that satisfies the request, and the newest release of that version. A new
        release of the same version is an upgrade.
      - With V(absent), every build that this module installed and that satisfies the request is removed, with its links.
    type: str
    choices: [present, latest, absent]
    default: present
  exclusive:
    description:
      - Remove the builds that this module installed under O(root) and whose minor version and variant no request asks for.
      - Replaced builds of those that are asked for stay as O(keep) says.
    type: bool
    default: false
  keep:
    description:
      - How many replaced builds of each minor version and variant stay on the host for a rollback.
      - The one that was in use last stays first, then those that were installed last.
    type: int
    default: 1
  in_use:
    description:
      - What happens to a build that has to go while a process runs from it. A process that has lost its build can't import
        modules any more.
      - With V(keep), the build stays for now, and RV(held) names it. Its links are gone or lead to another build, so new processes
        don't use it. Each run looks again, and the one that finds no process removes the build.
      - With V(remove), the build goes at once.
      - A process counts if its executable or a library that it has loaded is in the build, and if the task's user can see it. A
        warning says if processes can't be seen.
      - A repair puts the same build in the same place, so it does not wait.
      - On Windows a build in use always stays, because Windows does not rename the files of running programs.
    type: str
    choices: [keep, remove]
    default: keep
  owner:
    description:
      - The user who owns the builds. The default is the user who runs the task on the host.
      - O(root) itself stays with the user who runs the task. Whoever owns that folder could lead a later run of root elsewhere.
      - Root does not start an interpreter that another user can change. If that is its owner alone, the owner starts it.
      - The receipt of a build records this option as it was declared. Another name or number installs the build again, even if it
        is of the same user.
      - Windows hosts take neither this nor O(group) nor O(mode). There a root for all users is made so that all can read and
        administrators write, and an existing root passes on its own permissions.
    type: str
  group:
    description:
      - The group of the files. The default is the group of the user who runs the task on the host.
    type: str
  mode:
    description:
      - The mode of folders and executables, as an octal string such as V('0755'). Its owner must have all permissions. Other
        files get the same without execute permission.
      - The default is V('0755'), whatever the umask of the host.
      - A O(root) that is made gets this mode without write permission for its group and for others. With O(owner) everybody may
        pass through it.
    type: raw
  links:
    description:
      - Which links to make in O(bin_dir). With an empty list, none.
      - V(versioned) makes C(python3.13), or C(python3.13t) and C(python3.13d) for the free-threaded and the debug variant.
      - V(default) makes C(python3) and C(python) for the build that is declared with C(default=true). If no build is, and the
        minor version that they lead to is declared, they stay where they are, and a warning says so. C(default=false) on that
        build removes them.
      - On Windows these are launchers, C(python3.13.cmd).
    type: list
    elements: str
    choices: [versioned, default]
    default: [versioned, default]
  force:
    description:
      - Replace a file or a link that this module did not create, where one of its own must go. Without it, that is an error.
      - A folder is never replaced by a link.
    type: bool
    default: false
  delivery:
    description:
      - With V(push), the controller downloads a build once, verifies it, keeps it in its cache and sends it to every host. The
        host needs no way to the internet; it needs C(tar) and C(gzip) or C(zstd). On Windows it needs nothing.
      - With V(pull), the host downloads the build with C(curl) or C(wget), or with .NET on Windows, and verifies it.
        O(source) is then not on the controller.
    type: str
    choices: [push, pull]
    default: push
  source:
    description:
      - Where builds come from.
      - V(upstream) is the releases of the python-build-standalone project.
      - An http or https URL, or a folder on the controller, is a mirror with the layout of upstream's releases, C(TAG/FILE) and
        C(TAG/SHA256SUMS). A folder's SHA256SUMS files are its catalogue, and a server's is C(catalogue.tsv) where it has one.
      - A file on the controller is a single build. Its name must be the upstream one.
    type: str
    default: upstream
  checksum:
    description:
      - The sha256 of the file that O(source) names, as hexadecimal digits.
    type: str
  token:
    description:
      - A bearer token for the host that O(source) names. It is sent nowhere else and is never shown.
      - For GitHub, the environment variable E(GITHUB_TOKEN) of the controller serves.
    type: str
  catalogue:
    description:
      - The builds that are known. V(bundled) is the mirror's own where O(source) is one that has it, else the one that comes
        with the collection.
      - V(updated) is that with what C(standalone-python catalogue update) has last added to it in the cache of the user who runs
        Ansible.
      - Otherwise the path of a file on the controller or an http or https URL, with lines of tag, file name and sha256 separated
        by tabs, and perhaps the size.
    type: str
    default: bundled
  lockfile:
    description:
      - The path of a lock file on the controller, as C(standalone-python lock) makes it. A relative path is taken from the folder
        of the playbook.
      - With it, a request means exactly the build that is locked for it on the host's target, with V(present) as with V(latest).
        Another build that satisfies the request, older or newer, is not enough. Nothing is looked up in O(catalogue).
      - An archive counts only with the sha256 that is locked, wherever O(source) has it from.
      - A request that is not locked for a host's target is an error, with the command that adds it.
    type: str
  security_only:
    description:
      - With O(state=latest), upgrade a build only if it has an open advisory that a newer build of the same minor version and
        variant closes.
      - Where there is an O(lockfile), it decides, and this option is for C(standalone-python lock --upgrade).
    type: bool
    default: false
  cooldown:
    description:
      - Take no build whose release is younger than this, in days or weeks, such as V(7d) or V(2w). A request that names a release
        gets it however young it is.
      - Where there is an O(lockfile), it decides, and this option is for C(standalone-python lock).
    type: str
  cooldown_except:
    description:
      - Take a build that is younger than O(cooldown) all the same if it closes an open advisory of at least this severity. V(none)
        makes no exception.
    type: str
    choices: [critical, high, medium, low, none]
    default: high
  attestations:
    description:
      - Whether to verify, by GitHub's artifact attestations, that a workflow of python-build-standalone made an archive before
        anything of it goes to the host. Upstream has them since release 20250212.
      - With V(require), an archive without one is an error; with V(prefer), it is a warning. One that is wrong is always an error.
      - They are looked for in C(attestations) beside the O(lockfile), then where the archive comes from; for V(upstream) at GitHub's
        API. Needs the Python package sigstore on the controller.
    type: str
    choices: ['off', prefer, require]
    default: 'off'
  trusted_root:
    description:
      - The path of a Sigstore C(trusted_root.json) on the controller, for O(attestations), instead of the one that comes with
        sigstore. A relative path is taken from the folder of the playbook.
    type: str
  externally_managed:
    description:
      - Mark the interpreter as externally managed, so that C(pip) installs into virtual environments only.
    type: bool
    default: true
  user_packages:
    description:
      - What happens to packages that users installed into an interpreter with O(externally_managed=false), when a repair, an
        upgrade or another option replaces it by a build of the same minor version and variant.
      - With V(keep), the new build gets copies of the packages, of their scripts, and of the data that they list. Files that
        can't be copied are named in a warning.
      - With V(discard), the new build has only what it brings itself.
      - It has no effect where O(externally_managed) is V(true), before or after the run.
    type: str
    choices: [keep, discard]
    default: keep
  compile_bytecode:
    description:
      - Compile the standard library to bytecode when installing.
    type: bool
    default: false
  patch_sysconfig:
    description:
      - Replace the paths and the compilers of the machine that made the build by those of the host, so that C extensions can be
        built.
    type: bool
    default: true
  certificates:
    description:
      - Which certificates the interpreter trusts, in each of its processes and without environment variables.
      - With V(build), those that OpenSSL finds in C(/etc/ssl), where upstream built it to look. On RHEL 8 and some other systems
        it finds none there.
      - With V(system), also those in the file of certificates that the host's own packages maintain. The task finds that file when
        it installs a build. It fails, and changes nothing, if the host has none or if other users can write to it.
      - On Windows it has no effect, as Python reads that system's own store there.
    type: str
    choices: [build, system]
    default: build
  register:
    description:
      - On Windows, make each minor version and variant known in the registry as PEP 514 says, so that C(py -V:StandalonePython/3.13)
        and IDEs find it. For all users, or for one where O(root) lies in that user's profile.
      - With V(false), those that O(builds) names are taken out of it. On other systems it has no effect.
    type: bool
    default: true
  add_to_path:
    description:
      - On Windows, add O(bin_dir) to the PATH of the machine, or of the user where O(root) lies in that user's profile.
      - With V(false), take it off again if this module has added it. It also goes with the last link in O(bin_dir).
      - The default is to leave the PATH as it is. On other systems it has no effect.
    type: bool
  lock_timeout:
    description:
      - How many seconds to wait for another run that changes the same O(root).
    type: int
    default: 60
attributes:
  check_mode:
    description:
      - Predicts what a run would do, without changing the host.
      - No build is downloaded for it. What only the archive or the run itself can tell is not predicted, such as a disk with too
        little room, an O(owner) that does not exist on the host or that the task's user may not give files to, or a host
        without the file that O(certificates=system) needs.
    support: full
  diff_mode:
    description: Shows the interpreters before and after, in words.
    support: full
notes:
  - C(module_defaults) with C(group/standalone.python.all) sets O(root), O(bin_dir) or O(verify) once for the modules of this collection.
  - A build lies in a folder of its own below O(root). The link C(cpython-3.13) beside it leads to the build of that minor version in
    use; virtual environments made through it survive upgrades.
  - On POSIX hosts only root and the task's user may be able to change O(root) and the folders above it. If another user can change
    one of them, the task changes nothing and fails. It then says which folder that is, and what to do.
  - A build that C(standalone-python) put into the image of this host, where it could not be started, is tried with either value of
    O(verify), the modules that need libraries included. Its receipt then says that it was started, which is a change.
  - On Linux and macOS, a host needs a POSIX shell, C(tar), and C(sha256sum), C(shasum) or another common tool for checksums. It needs no Python, and
    O(delivery=pull) needs C(curl) or C(wget). The play needs C(gather_facts=false) until the host has a Python.
  - The C(environment) of the task is the host's. The controller, where it downloads, takes from it the proxies (C(https_proxy),
    C(no_proxy) and others that end so), E(GITHUB_TOKEN), E(NETRC), E(STANDALONE_PYTHON_CACHE), E(STANDALONE_PYTHON_CACHE_SIZE),
    E(REQUESTS_CA_BUNDLE), E(CURL_CA_BUNDLE), E(SSL_CERT_FILE) and E(SSL_CERT_DIR), and nothing else.
  - 'Quote versions: YAML reads V(3.10) as the number 3.1. Such a number is an error that says so.'
  - Ansible takes the first C(python3.X) on a host's PATH for its own modules. A new C(python3.13) in V(/usr/local/bin) can so
    replace the distribution's Python, which alone has the bindings for C(apt) or C(dnf). Where that matters, set
    C(ansible_python_interpreter), or choose another O(bin_dir) or O(links=[]).
  - Linux with glibc or musl, macOS and Windows are supported.
  - On Windows, C(become) needs C(become_method=ansible.builtin.runas). What is sent to the host can then be read and removed by the user
    that the task becomes.
seealso:
  - module: standalone.python.interpreters_info
  - plugin: standalone.python.build
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: Have a Python 3.13 on a host that may have no Python at all, in a play with gather_facts false
  standalone.python.interpreters:
    builds: ["3.13"]
  become: true

- name: Keep two versions up to date, the newer one as python3
  standalone.python.interpreters:
    state: latest
    builds:
      - "3.12"
      - version: "3.13"
        default: true

- name: Pin one build, and remove all others that this module installed
  standalone.python.interpreters:
    builds: ["3.13.1+20250115"]
    exclusive: true
    keep: 0

- name: Install the free-threaded variant into the home of an unprivileged user
  standalone.python.interpreters:
    builds: ["3.13t"]
    root: ~/.local/share/python
    bin_dir: ~/.local/bin
  become: false

- name: Take the builds from a folder on the controller, and touch no link outside of the root
  standalone.python.interpreters:
    builds: ["3.13"]
    source: /srv/mirror/python-build-standalone
    links: []

- name: Let each host download from a mirror by itself
  standalone.python.interpreters:
    builds: [">=3.12,<3.14"]
    source: https://mirror.example.com/python-build-standalone
    token: "{{ mirror_token }}"
    delivery: pull

- name: Have the builds that were reviewed in a lock file, and no others
  standalone.python.interpreters:
    builds: ["3.13"]
    lockfile: python.lock.json

- name: Examine every file, and repair what is broken
  standalone.python.interpreters:
    builds: ["3.13"]
    verify: full

- name: Remove all of 3.11
  standalone.python.interpreters:
    builds: ["3.11"]
    state: absent
"""

RETURN = r"""
interpreters:
  description: What became of each request, in the order of O(builds). Requests that are declared absent are left out.
  returned: success
  type: list
  elements: dict
  contains:
    request:
      description: The request as it was written.
      type: str
      sample: "3.13"
    version:
      description: The version of the build that stands for the request.
      type: str
      sample: 3.13.1
    release:
      description: The release of the build.
      type: str
      sample: "20250115"
    target:
      description: The target triple of the build.
      type: str
      sample: x86_64-unknown-linux-gnu
    variant:
      description: The variant of the build, such as V(freethreaded) or V(debug). Empty for the plain optimised build.
      type: str
      sample: ""
    flavor:
      description: The flavor of the build.
      type: str
      sample: install_only_stripped
    path:
      description: The executable of the build. It changes with each upgrade.
      type: str
      sample: /opt/python/cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped/bin/python3
    stable_path:
      description:
        - The same executable through the link that stays the same over upgrades. Make virtual environments with this one.
        - It is the same as RV(interpreters[].path) where another build of the minor version and variant has that link.
      type: str
      sample: /opt/python/cpython-3.13/bin/python3
    prefix:
      description: The folder of the build.
      type: str
      sample: /opt/python/cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped
    action:
      description:
        - What was done; in check mode, what would be done.
        - V(none), V(relink), V(install), V(upgrade), V(downgrade), V(repair), or V(reinstall) where options such as
          O(externally_managed) have changed.
      type: str
      sample: install
    reason:
      description: Why it was done.
      type: str
      sample: nothing installed satisfies 3.13
    links:
      description: The links of the build in O(bin_dir).
      type: list
      elements: str
      sample: [/usr/local/bin/python3.13]
    extra:
      description: Files that someone added to its standard library; known with O(verify=full) only, and left alone.
      type: list
      elements: str
      sample: []
    user_packages:
      description:
        - What this run did with the packages that users had installed into the build that this one replaces.
        - In check mode, what it would do.
      type: dict
      contains:
        kept:
          description: How many packages were copied.
          type: int
          sample: 3
        discarded:
          description: How many packages were not copied, because O(user_packages=discard) or because they can't serve the new build.
          type: int
          sample: 0
        not_carried:
          description: The files that could not be copied, each with the reason. At most 20, then how many more there are.
          type: list
          elements: str
          sample: ["bin/tool: the new build has a file of that name"]
    advisories:
      description:
        - How many open advisories the build has, by severity, from V(critical) to V(low) and V(unrated). Severities without any are
          left out.
        - Null where nothing changed, as no table is read then; M(standalone.python.interpreters_info) tells it always. Null also where
          nothing is known about the build.
      type: dict
      sample: {critical: 1, high: 9, moderate: 4}
    end_of_life:
      description: The day on which security support of the minor version ends. Null where it is unknown, or where nothing changed.
      type: str
      sample: "2029-10-31"
removed:
  description: The builds that were removed; in check mode, those that would be.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The folder of the build.
      type: str
      sample: /opt/python/cpython-3.13.0+20241016-x86_64-unknown-linux-gnu-install_only_stripped
    name:
      description: The name of the build.
      type: str
      sample: cpython-3.13.0+20241016-x86_64-unknown-linux-gnu-install_only_stripped
    reason:
      description: Why it was removed.
      type: str
      sample: it was replaced, and keep is 0
held:
  description: The builds that have to go and stay for now, because processes run from them. Empty as a rule.
  returned: success
  type: list
  elements: dict
  contains:
    path:
      description: The folder of the build.
      type: str
      sample: /opt/python/cpython-3.13.0+20241016-x86_64-unknown-linux-gnu-install_only_stripped
    name:
      description: The name of the build.
      type: str
      sample: cpython-3.13.0+20241016-x86_64-unknown-linux-gnu-install_only_stripped
    reason:
      description: Why it has to go.
      type: str
      sample: it was replaced, and keep is 0
    processes:
      description: The processes that run from it, each with C(pid), C(user), C(command) and C(unit). Empty on Windows.
      type: list
      elements: dict
      sample: [{pid: 4711, user: app, command: python3.13, unit: app.service}]
processes:
  description:
    - The processes on the host that run from a build below O(root), also from one that was removed. Those that run from another
      build than the one in use in its line come first. At most 500.
    - A process counts if its executable or a library that it has loaded is in the build.
    - Null on Windows, and where the run moved no stable link and replaced or removed no build.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: The number of the process.
      type: int
      sample: 4711
    user:
      description: Its user by name, or by number if there is no name. Empty if it is not known.
      type: str
      sample: app
    command:
      description: The name of its program, without arguments.
      type: str
      sample: python3.13
    unit:
      description: The service of systemd that it belongs to, by its cgroup. Null for other processes.
      type: str
      sample: app.service
    build:
      description: The name of the build.
      type: str
      sample: cpython-3.13.0+20241016-x86_64-unknown-linux-gnu-install_only_stripped
    current:
      description: Whether that build is the one in use in its line, and its files were not replaced since the process started.
      type: bool
      sample: false
processes_complete:
  description: Whether the task's user can see every process of the host. Null where RV(processes) is.
  returned: success
  type: bool
  sample: true
outdated_units:
  description:
    - The services of systemd that run from a build that is not in use any more. Restart them to let them run the new one.
    - Null where RV(processes) is.
  returned: success
  type: list
  elements: str
  sample: [app.service]
plan:
  description: The steps of the run in words. Empty where there was nothing to do.
  returned: success
  type: list
  elements: str
  sample:
    - "install cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped: nothing installed satisfies 3.13"
    - link /opt/python/cpython-3.13 to cpython-3.13.1+20250115-x86_64-unknown-linux-gnu-install_only_stripped
    - link /usr/local/bin/python3.13 to /opt/python/cpython-3.13/bin/python3.13
root:
  description: The folder that holds the builds, in full.
  returned: success
  type: str
  sample: /opt/python
bin_dir:
  description: The folder of the links, in full.
  returned: success
  type: str
  sample: /usr/local/bin
"""
