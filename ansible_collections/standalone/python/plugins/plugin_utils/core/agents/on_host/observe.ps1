# observe.ps1: prints what a Windows host has, as observe.sh does. It only reads.
#
# Set before it: $given (secrets, see below), $root, $bin_dir (absolute, or starting with ~ or %NAME%), $verify (quick|full),
# $facts (print what kind of host it is: yes or no), and $history (print which builds were
# in use before: yes, or empty).
# For Windows PowerShell 5.1 and PowerShell 7: the language and .NET Framework 4.6.2. No cmdlet, as each loads a module.
# Printed paths have slashes. If all is in order, it starts each interpreter once for its version, and nothing else.

$ErrorActionPreference = 'Stop'
$said = [Collections.ArrayList]::new()
# A function can't assign to a variable of its caller, but can change the content of this one.
$state = @{ facts = $facts; held = [Collections.ArrayList]::new(); above = @{}; outdated = ''; cleared = '' }

# Windows may log the text of every script, so secrets come beside it. Names and values, each ended by a NUL: environment variables
# ("env NAME"), a token, and the URLs of builds ("url BUILD"), which may have credentials.
$secrets = @{}
$words = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($given)).Split([char]0)
for ($at = 0; $at + 1 -lt $words.Length; $at += 2) {
    $name, $value = $words[$at], $words[$at + 1]
    if ($name.StartsWith('env ')) { [Environment]::SetEnvironmentVariable($name.Substring(4), $value) }
    else { $secrets[$name] = @($secrets[$name]) + $value }
}

# Consoles and remote shells change letters that aren't ASCII, so such a value is printed as base64 after *=.
function Write-Pair([string]$key, $value) { # prints a line of KEY for each line of VALUE
    foreach ($line in ([string]$value).Split("`n")) {
        $line = $line.TrimEnd("`r")
        if ($line -cmatch '[^\x20-\x7e]') {
            [void]$said.Add("$key*=" + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($line)))
        } else { [void]$said.Add("$key=$line") }
    }
}

function Write-Path([string]$key, [string]$path) { Write-Pair $key (ConvertTo-Slashes $path) }

function ConvertTo-Slashes([string]$path) { $path.Replace('\', '/') }

function ConvertTo-Native([string]$path) { $path.Replace('/', [string][IO.Path]::DirectorySeparatorChar) }

function Join-Name([string]$folder, [string]$name) { [IO.Path]::Combine($folder, $name) }

function Resolve-Folder([string]$path) {
    if ($path.StartsWith('~')) { $path = (Get-Home) + $path.Substring(1) }
    [IO.Path]::GetFullPath([Environment]::ExpandEnvironmentVariables($path))
}

function Get-Home { [Environment]::GetFolderPath('UserProfile').TrimEnd('\', '/') }

function Test-There([string]$path) { # also a junction that leads nowhere
    try { [void][IO.File]::GetAttributes($path); $true } catch { $false }
}

function Test-Below([string]$path, [string]$folder) { # is PATH in FOLDER?
    $path.StartsWith($folder + [IO.Path]::DirectorySeparatorChar, [StringComparison]::OrdinalIgnoreCase)
}

function Get-Entries([string]$folder, [string]$start) { # -> the paths in FOLDER whose names begin with START
    if (-not [IO.Directory]::Exists($folder)) { return }
    try { $entries = [IO.Directory]::GetFileSystemEntries($folder) } catch { return }
    [Array]::Sort($entries, [StringComparer]::Ordinal)
    foreach ($entry in $entries) {
        if ([IO.Path]::GetFileName($entry).StartsWith($start, [StringComparison]::OrdinalIgnoreCase)) { $entry }
    }
}

# The one place that makes junctions and knows them. Where one leads is read from the receipt that is seen through it. cmd gets the
# paths by its environment: whatever is in them, it takes them for paths.
function Use-Junction([string]$do, [string]$path, [string]$to) { # is PATH one? make PATH, leading TO; remove PATH
    switch ($do) {
        is {
            $both = [IO.FileAttributes]'Directory, ReparsePoint'
            try { ([IO.File]::GetAttributes($path) -band $both) -eq $both } catch { $false }
        }
        make {
            $made = Invoke-Program (Get-SystemProgram 'cmd.exe') '/d /v:off /c mklink /J "%SP_PATH%" "%SP_TO%"' @{ SP_PATH = $path; SP_TO = $to }
            if ($made.code -ne 0) { throw [IO.IOException]::new($made.said) }
        }
        remove { [IO.Directory]::Delete($path, $false) }
    }
}

function Get-SystemProgram([string]$name) { # -> its path; for a 32-bit shell, System32 is another folder
    $folder = if ([Environment]::Is64BitOperatingSystem -and -not [Environment]::Is64BitProcess) { 'Sysnative' } else { 'System32' }
    [IO.Path]::Combine([Environment]::GetEnvironmentVariable('SystemRoot'), $folder, $name)
}

function Get-Starter([string]$program, [string]$arguments) { # -> its start information, with pipes
    $start = [Diagnostics.ProcessStartInfo]::new($program, $arguments)
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $start.RedirectStandardInput = $start.RedirectStandardOutput = $start.RedirectStandardError = $true
    $start.StandardOutputEncoding = $start.StandardErrorEncoding = [Text.UTF8Encoding]::new($false)
    $start
}

function Invoke-Program([string]$program, [string]$arguments, $environment) { # -> .code, .out, and .said: its whole output
    $start = Get-Starter $program $arguments
    if ($environment) { foreach ($name in $environment.Keys) { $start.EnvironmentVariables[$name] = $environment[$name] } }
    try { $process = [Diagnostics.Process]::Start($start) }
    catch { return @{ code = 126; out = ''; said = $_.Exception.GetBaseException().Message } }
    $process.StandardInput.Close()
    $errors = $process.StandardError.ReadToEndAsync()
    $out = $process.StandardOutput.ReadToEnd()
    $process.WaitForExit()
    @{ code = $process.ExitCode; out = $out; said = ($out + $errors.Result).Trim() }
}

# Computed from the access list, as trying would write.
function Test-Access([string]$folder, [string]$wanted) { # may this user do that in FOLDER?
    try { $list = [Security.AccessControl.DirectorySecurity]::new($folder, 'Access') } catch { return $false }
    $me = [Security.Principal.WindowsIdentity]::GetCurrent()
    $mine = @($me.User.Value) + @(foreach ($group in $me.Groups) { $group.Value })
    $asked = [int][Security.AccessControl.FileSystemRights]$wanted
    $given = 0
    foreach ($rule in $list.GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])) {
        if ($rule.PropagationFlags -band [Security.AccessControl.PropagationFlags]::InheritOnly) { continue }
        if ($mine -notcontains $rule.IdentityReference.Value) { continue }
        $rights = [int]$rule.FileSystemRights
        # The generic rights "all" and "write" include the others.
        if ($rights -band 0x50000000) { $rights = $rights -bor $asked }
        if ($rule.AccessControlType -eq 'Allow') { $given = $given -bor $rights }
        elseif ($rights -band $asked) { return $false }
    }
    ($given -band $asked) -eq $asked
}

# Who may do what with a file or folder, of the rights that count here. A list that lets everybody do everything is no list at all.
function Get-AccessRules([string]$path) { # -> .who, .rights and .kind: owner, own, or passed (to new things in a folder only)
    $parts = [Security.AccessControl.AccessControlSections]'Access, Owner'
    $list = if ([IO.Directory]::Exists($path)) { [Security.AccessControl.DirectorySecurity]::new($path, $parts) }
    else { [Security.AccessControl.FileSecurity]::new($path, $parts) }
    @{ who = $list.GetOwner([Security.Principal.SecurityIdentifier]).Value; rights = -1; kind = 'owner' }
    foreach ($rule in $list.GetAccessRules($true, $true, [Security.Principal.SecurityIdentifier])) {
        # Rules that deny are ignored: at worst a build is not started.
        if ($rule.AccessControlType -ne 'Allow') { continue }
        $who, $rights = $rule.IdentityReference.Value, [int]$rule.FileSystemRights
        if ([int]$rule.InheritanceFlags) { @{ who = $who; rights = $rights; kind = 'passed' } }
        if (-not ([int]$rule.PropagationFlags -band [int][Security.AccessControl.PropagationFlags]::InheritOnly)) {
            @{ who = $who; rights = $rights; kind = 'own' }
        }
    }
}

function Get-Me { [Security.Principal.WindowsIdentity]::GetCurrent().User.Value }

# Rights (winnt.h) by which somebody changes what is behind a path: every one that writes. In a folder above it only those that
# put another one in its place, as in C:\ and ProgramData all users may make new things. A drive can't be removed.
$changing = @{ itself = 0x500D0156; above = 0x100D0040; drive = 0x100C0040 }

# The system, administrators, Windows' own installer, this user; and who stands for the maker or owner of something.
function Get-Trusted {
    if (-not $state.trusted) {
        $installer = 'S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464'
        $state.trusted = 'S-1-5-18', 'S-1-5-32-544', $installer, 'S-1-3-0', 'S-1-3-4', (Get-Me)
    }
    $state.trusted
}

function Find-Changer([string]$path, [string]$place, [bool]$passes) { # -> who else could change PATH, in words; nothing if nobody could
    try { $rules = @(Get-AccessRules $path) } catch { return "the access list of $path can't be read" }
    $kinds = if ($passes) { 'owner', 'own', 'passed' } else { 'owner', 'own' }
    $trusted = Get-Trusted
    foreach ($rule in $rules) {
        if ($trusted -contains $rule.who -or $kinds -notcontains $rule.kind -or -not ($rule.rights -band $changing[$place])) { continue }
        $name = try { [Security.Principal.SecurityIdentifier]::new($rule.who).Translate([Security.Principal.NTAccount]).Value } catch { 'somebody' }
        return "$name ($($rule.who)) " + $(if ($rule.kind -eq 'owner') { "owns $path" } else { "can change $path" })
    }
}

function Find-ChangerAbove([string]$path) { # the same for all folders above PATH; each is checked once
    $folder = [IO.Path]::GetDirectoryName($path)
    if (-not $folder) { return }
    if (-not $state.above.ContainsKey($folder)) {
        $place = if (Test-Root $folder) { 'drive' } else { 'above' }
        $found = Find-ChangerAbove $folder
        if (-not $found) { $found = Find-Link $folder }
        if (-not $found) { $found = Find-Changer $folder $place $false }
        $state.above[$folder] = [string]$found
    }
    $state.above[$folder]
}

# Where a junction leads can't be read with .NET Framework, so nobody knows who could change that. The root of a drive or of a share
# is never one, whatever its attributes are: Wine keeps drives as links.
function Find-Link([string]$folder) {
    if (-not (Test-Root $folder) -and (Test-Link $folder)) { "$folder is a junction or a link, whose target can't be checked" }
}

function Test-Root([string]$path) { # of a drive or of a share
    $path.TrimEnd('\', '/') -eq [IO.Path]::GetPathRoot($path).TrimEnd('\', '/')
}

function Test-Link([string]$path) { [bool]([IO.File]::GetAttributes($path) -band [IO.FileAttributes]::ReparsePoint) }

function Find-ChangerOfProgram([string]$program) { # Windows loads libraries from the program's folder
    $folder = [IO.Path]::GetDirectoryName($program)
    $found = Find-ChangerAbove $folder
    if (-not $found) { $found = Find-Link $folder }
    if (-not $found) { $found = Find-Changer $folder 'itself' $false }
    if ($found) { return $found }
    foreach ($file in @($program) + [IO.Directory]::GetFiles($folder, '*.dll')) {
        $found = Find-Changer $file 'itself' $false
        if ($found) { return $found }
    }
}

# What is new in a folder has the rights that this passes on. Outside of the profile a folder that has to be made gets its own list.
function Find-ChangerOfFolder([string]$folder) {
    $near = Get-Existing $folder
    if (-not $near) { return }
    $found = Find-ChangerAbove $near
    if (-not $found) { $found = Find-Link $near }
    if ($found) { return $found }
    if ($near -eq $folder -or (Test-Below $folder (Get-Home))) { Find-Changer $near 'itself' $true }
    else { Find-Changer $near $(if (Test-Root $near) { 'drive' } else { 'above' }) $false }
}

function Write-Exposed([string]$key, [string]$folder) { # prints who else could change what is written to FOLDER
    $found = Find-ChangerOfFolder $folder
    if ($found) { Write-Pair "${key}_exposed" $found }
}

function Get-Existing([string]$path) { # -> itself or the nearest existing folder above it
    while ($path -and -not (Test-There $path)) { $path = [IO.Path]::GetDirectoryName($path) }
    $path
}

function Write-Place([string]$key, [string]$path) { # prints whether this user can create things in PATH
    if ([IO.Directory]::Exists($path)) {
        try {
            [void][IO.Directory]::GetFileSystemEntries($path)
            $is = if (Test-Access $path 'CreateFiles, CreateDirectories') { 'writable' } else { 'unwritable' }
        } catch { $is = 'unreadable' }
    } elseif (Test-There $path) { $is = 'notfolder' }
    else {
        $near = Get-Existing $path
        $is = if ($near -and [IO.Directory]::Exists($near) -and (Test-Access $near 'CreateDirectories')) { 'absent' } else { 'unwritable' }
        # A file, or a junction that leads to nothing: where it leads can't be read here, so it can't be made.
        if ($near -and -not [IO.Directory]::Exists($near)) { Write-Path "${key}_obstacle" $near }
    }
    Write-Pair "${key}_state" $is
}

function Measure-Entries([string]$folder) { # -> the number of entries, as the finisher counts them
    $count = 0
    if ([IO.Directory]::Exists($folder)) {
        foreach ($entry in [IO.Directory]::GetFileSystemEntries($folder)) {
            $name = [IO.Path]::GetFileName($entry)
            if (-not $name.StartsWith('.') -and $name -ne '__pycache__') { $count++ }
        }
    }
    $count
}

function Read-Text([string]$path) { # -> the text of a file, also if another process has it open
    $stream = [IO.FileStream]::new($path, 'Open', 'Read', 'ReadWrite, Delete')
    try { [IO.StreamReader]::new($stream).ReadToEnd() } finally { $stream.Dispose() }
}

function Write-Build([string]$folder) { # prints its receipt, how it starts, and the size of its standard library
    Write-Pair 'build' ([IO.Path]::GetFileName($folder))
    $receipt = Join-Name $folder '.standalone-python/receipt.json'
    $text = ''
    if ([IO.File]::Exists($receipt)) { try { $text = Read-Text $receipt; Write-Pair 'receipt' $text.TrimEnd("`n") } catch { } }
    $check = Join-Name $root ".standalone-python.checked/$([IO.Path]::GetFileName($folder))"
    if ([IO.File]::Exists($check)) { try { Write-Pair 'checked' (Read-Text $check).TrimEnd("`n") } catch { } }
    $python = Join-Name $folder 'python.exe'
    if ([IO.File]::Exists($python)) {
        $found = Find-ChangerOfProgram $python
        $answer = if ($found) { @{ code = 'untrusted'; said = $found } } else { Invoke-Program $python '-I -V' }
        Write-Pair 'start' $answer.code
        Write-Pair 'says' $answer.said
    }
    if ($verify -eq 'full') { Compare-Build $folder }
    Write-Pair 'modules' ((Measure-Entries (Join-Name $folder 'Lib')) + (Measure-Entries (Join-Name $folder 'DLLs')))
    if ($text -match '"externally_managed": false') { Write-Pair 'packages' (Measure-UserPackages $folder $text) }
}

function Measure-UserPackages([string]$folder, [string]$receipt) { # -> how many packages users installed
    $bundled = if ($receipt -match '"bundled": "([^"]*)"') { $Matches[1].Split(' ') } else { @() }
    $count = 0
    foreach ($entry in Get-Entries (Join-Name $folder 'Lib/site-packages') '') {
        $name = [IO.Path]::GetFileName($entry)
        if ($name -match '\.(dist|egg)-info$' -and $bundled -notcontains $name) { $count++ }
    }
    $count
}

function Write-Stable([string]$path) { Write-Pair 'link' "$(ConvertTo-Slashes $path) -> $(Get-StableTarget $path)" }

function Get-StableTarget([string]$path) { # -> its target, from the receipt behind it
    try { if ((Read-Text (Join-Name $path '.standalone-python/receipt.json')) -match '"name": "([^"]+)"') { return $Matches[1] } } catch { }
    'nothing of ours'
}

function Get-Launched([string]$path) { # -> the program that a launcher of standalone-python starts; nothing for other files
    if (-not $path.EndsWith('.cmd', [StringComparison]::OrdinalIgnoreCase)) { return }
    try { $text = Read-Text $path } catch { return }
    if ($text -cnotmatch '\A@rem standalone-python[^\r\n]*\r\n@"([^"\r\n]+)" %\*\r\n\z') { return }
    $to = $Matches[1].Replace('%~dp0', [IO.Path]::GetDirectoryName($path) + '\').Replace('%USERPROFILE%', (Get-Home)).Replace('%%', '%')
    try { ConvertTo-Slashes ([IO.Path]::GetFullPath($to.Replace('\', [IO.Path]::DirectorySeparatorChar))) } catch { }
}

# The holder keeps the file open. When it ends, Windows closes and removes the file.
function Write-Lock {
    foreach ($name in '.standalone-python.lock', '.lock') { # and the name that it had before, which others use too
        $path = Join-Name $root $name
        $text = Get-LockText $path
        if (-not $text) {
            if ($name -ne '.lock' -and $null -ne $text) { Write-Path 'obstacle' $path }
            continue
        }
        try { [IO.FileStream]::new($path, 'Open', 'Read', 'Read').Dispose(); $is = 'dead' } catch { $is = 'alive' }
        if ($name -eq '.lock' -and $is -eq 'dead') { Write-Path 'leftover' $path; continue }
        Write-Pair 'lock' $text
        Write-Pair 'lock_state' $is
    }
}

# An empty file is a lock whose holder has just created it.
function Get-LockText([string]$path) { # -> its holder; empty if it is not a lock; nothing if it does not exist
    if ([IO.Directory]::Exists($path)) { return '' }
    try { $text = Read-Text $path } catch { return }
    if (-not $text) { return }
    if ($text -match '\A[1-9][0-9]{0,9}:[0-9]{0,20}:[^:\s]*:[^:\r\n]+\z') { $text } else { '' }
}

# Older versions used a name that other programs use too, so only the exact form of ours is cleared.
function Test-Staging([string]$folder) { # is it a staging folder of standalone-python?
    if (-not [IO.Directory]::Exists($folder)) { return $false }
    $ours = $false
    foreach ($path in [IO.Directory]::GetFileSystemEntries($folder)) {
        $name = [IO.Path]::GetFileName($path)
        if ($name.StartsWith('cpython-') -and [IO.Directory]::Exists($path)) { $ours = $true }
        elseif (@('finish.py', 'bytecode.py') -notcontains $name) { return $false }
    }
    $ours
}

function Write-Leftovers { # prints what killed runs left, and what else has one of these names
    $path = Join-Name $root '.standalone-python.staging'
    if ([IO.Directory]::Exists($path)) { Write-Path 'leftover' $path } elseif (Test-There $path) { Write-Path 'obstacle' $path }
    foreach ($folder in $root, $bin_dir) {
        $path = Join-Name $folder '.standalone-python-link'
        if (-not (Test-There $path)) { continue }
        Write-Path $(if ((Use-Junction 'is' $path) -or [IO.File]::Exists($path)) { 'leftover' } else { 'obstacle' }) $path
    }
    $path = Join-Name $root '.staging'
    if (Test-Staging $path) { Write-Path 'leftover' $path }
}

# All users see the interpreters in the registry; if the root is in a profile, only its user.
function Get-Scope { if (Test-Below $root (Get-Home)) { 'user' } else { 'machine' } }

function Open-Registry([string]$path, [bool]$writable) { # -> the key in this scope; nothing if it does not exist
    $hive = if ((Get-Scope) -eq 'machine') { 'LocalMachine' } else { 'CurrentUser' }
    $view = if ([Environment]::Is64BitOperatingSystem) { 'Registry64' } else { 'Registry32' }
    $base = [Microsoft.Win32.RegistryKey]::OpenBaseKey($hive, $view)
    if ($writable) { $base.CreateSubKey($path) } else { $base.OpenSubKey($path) }
}

function Write-Registered { # prints the entries of standalone-python in the registry (PEP 514)
    $company = Open-Registry 'Software\Python\StandalonePython' $false
    if ($null -eq $company) { return }
    foreach ($tag in $company.GetSubKeyNames()) {
        $entry = $company.OpenSubKey($tag)
        $place = $company.OpenSubKey("$tag\InstallPath")
        $python = if ($null -ne $place) { ConvertTo-Slashes ([string]$place.GetValue('ExecutablePath')) }
        Write-Pair 'registered' "$tag $($entry.GetValue('Version')) $($entry.GetValue('SysArchitecture')) $python"
    }
}

function Get-PathKey { if ((Get-Scope) -eq 'machine') { 'SYSTEM\CurrentControlSet\Control\Session Manager\Environment' } else { 'Environment' } }

function Write-SearchPath { # prints whether bin_dir is in the PATH, and who added it
    $key = Open-Registry (Get-PathKey) $false
    if ($null -eq $key) { return }
    foreach ($folder in ([string]$key.GetValue('Path')).Split(';')) {
        if ($folder.Trim().TrimEnd('\') -eq $bin_dir) {
            $mark = Join-Name $root '.standalone-python-path'
            Write-Pair 'path' $(if ([IO.File]::Exists($mark)) { 'ours' } else { 'there' })
            return
        }
    }
}

function Write-History { # prints which builds were in use before, from the file that apply.ps1 keeps in the root
    $path = Join-Name $root '.standalone-python.history'
    if (-not (Test-There $path)) { Write-Pair 'history_state' 'absent'; return }
    try { $lines = Read-Lines $path } catch { Write-Pair 'history_state' 'unreadable'; return }
    if (Find-Changer $path 'itself' $false) { Write-Pair 'history_state' 'untrusted'; return }
    Write-Pair 'history_state' 'present'
    foreach ($line in $lines) { Write-Pair 'history' $line }
}

function Read-Lines([string]$path) { # -> the lines of a file; it fails for a link
    if (Test-Link $path) { throw [IO.IOException]::new("$path is a link") }
    (Read-Text $path).TrimEnd("`n").Split("`n")
}

function Write-Occupied([string]$path) { Write-Path 'occupied' $(if ([IO.Directory]::Exists($path)) { "$path/" } else { $path }) }

function Write-Observation {
    [void]$said.Add('== standalone-python observation 1 ==')
    Write-Pair 'layout' 'windows'
    Write-Path 'root' $root
    Write-Path 'bin_dir' $bin_dir
    Write-Place 'root' $root
    Write-Place 'bin_dir' $bin_dir
    Write-Exposed 'root' $root
    Write-Exposed 'bin_dir' $bin_dir
    if ($state.outdated) { Write-Pair 'outdated' 'yes' }
    if ($state.cleared) { Write-Pair 'cleared' 'yes' }
    Write-Lock
    Write-Leftovers
    foreach ($path in $state.held) { Write-Path 'held' $path }
    foreach ($path in Get-Entries $root 'cpython-') {
        if (Use-Junction 'is' $path) { Write-Stable $path }
        elseif ([IO.Directory]::Exists((Join-Name $path '.standalone-python'))) { Write-Build $path }
        else { Write-Occupied $path }
    }
    foreach ($path in Get-Entries $bin_dir 'python') {
        $to = Get-Launched $path
        if ($to) { Write-Pair 'link' "$(ConvertTo-Slashes $path) -> $to" } else { Write-Occupied $path }
    }
    Write-Registered
    Write-SearchPath
    if ($history) { Write-History }
    if ($state.facts -ne 'no') { Write-Facts }
    [void]$said.Add('== standalone-python observation end ==')
}

function Invoke-Observation {
    $root = Resolve-Folder $root
    $bin_dir = Resolve-Folder $bin_dir
    Write-Observation
    $said -join "`n"
}
