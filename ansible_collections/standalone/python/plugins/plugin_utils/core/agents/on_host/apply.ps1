# apply.ps1: carries out a plan on a Windows host, then observes the host again. It follows observe.ps1, whose functions it uses.
#
# Like apply.sh, it prepares all builds in root\.standalone-python.staging before it changes anything visible. A failure before the
# commit changes nothing. After a kill, the next run clears what is left.
# On Windows an open file can't be removed, and a folder with an open file can't be renamed. So each removal is tried for some
# seconds. What is still in use then stays for the next run, and is printed (held=).
#
# Set before it: what observe.ps1 needs, and $lock_timeout (seconds).
# The renderer adds the functions Get-Finisher (returns finish.py and its parts by name), Test-Premises, Invoke-Prepare and
# Invoke-Commit.

$state.step = $state.code = $state.detail = $state.made = $state.staged = $state.finisher = ''
$state.committing = 'no'
$state.restored = [Collections.ArrayList]::new()

# Users, passwords, queries and fragments of URLs can be secrets.
function Hide-Secrets([string]$text) { # -> the text without them
    [regex]::Replace($text, '([A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/?#]*@)?([^\s?#]*)(?:[?#]\S*)?', '$1$2')
}

function Stop-Run([string]$code, [string]$detail) {
    $state.code = $code
    $state.detail = Hide-Secrets $detail
    throw 'standalone-python'
}

# Sorts exceptions by what a user can do. Numbers: winerror.h, as HRESULTs.
function Resolve-Failure($exception, [string]$otherwise) { # -> the code of the failure
    $base = $exception.GetBaseException()
    if ($base.HResult -in -2147024784, -2147024857) { 'space' }
    elseif ($base -is [UnauthorizedAccessException] -or $base -is [Security.SecurityException]) { 'permission' }
    else { $otherwise }
}

function Wait-While([scriptblock]$attempt) { # repeats it for about 6 seconds while it throws, as virus scanners hold new files
    foreach ($pause in 0, 50, 200, 1000, 2000, 3000) {
        if ($pause) { [Threading.Thread]::Sleep($pause) }
        try { & $attempt; return } catch { $last = $_.Exception }
    }
    throw $last
}

function Remove-Tree([string]$folder) { # -> is it completely removed?
    if (-not (Test-There $folder)) { return $true }
    try {
        Wait-While {
            try { [IO.Directory]::Delete($folder, $true) }
            catch [IO.DirectoryNotFoundException] { }
            catch {
                foreach ($file in [IO.Directory]::GetFiles($folder, '*', 'AllDirectories')) {
                    try { [IO.File]::SetAttributes($file, 'Normal') } catch { }
                }
                throw
            }
        }
        $true
    } catch { $false }
}

function New-Folder([string]$path) { [void][IO.Directory]::CreateDirectory($path) }

# In the profile a folder inherits its rights. Elsewhere all users may read it and only administrators may change it, from its first
# moment: in ProgramData it would inherit that all users may create files.
function New-Own([string]$path) {
    if (Test-Below $path (Get-Home)) { New-Folder $path; return }
    $list = Get-OwnList
    # .NET Framework and .NET have different names for this; the linter knows only the former's.
    $extensions = 'System.IO.FileSystemAclExtensions' -as [type]
    if ($extensions) { [void]$extensions::CreateDirectory($list, $path) } else { [void][IO.Directory]::CreateDirectory($path, $list) }
}

function Get-OwnList { # -> the access list of such a folder
    $list = [Security.AccessControl.DirectorySecurity]::new()
    $list.SetAccessRuleProtection($true, $false)
    $rights = @(@('S-1-5-18', 'FullControl'), @('S-1-5-32-544', 'FullControl'), @('S-1-5-32-545', 'ReadAndExecute'))
    if (-not (Test-Administrator)) { $rights += , @((Get-Me), 'FullControl') }
    foreach ($right in $rights) {
        $who = [Security.Principal.SecurityIdentifier]::new($right[0])
        $rule = [Security.AccessControl.FileSystemAccessRule]::new($who, $right[1], 'ContainerInherit, ObjectInherit', 'None', 'Allow')
        $list.AddAccessRule($rule)
    }
    , $list
}

function Test-Administrator {
    $me = [Security.Principal.WindowsPrincipal]::new([Security.Principal.WindowsIdentity]::GetCurrent())
    $me.IsInRole([Security.Principal.WindowsBuiltInRole]'Administrator')
}

function Assert-Unexposed([string]$folder) { # fails if others than this user and administrators can change it
    $state.above.Clear()
    $found = Find-ChangerOfFolder $folder
    if ($found) { Stop-Run 'untrusted' $found }
}

function New-Root {
    Assert-Unexposed $root
    if ([IO.Directory]::Exists($root)) { return }
    $near = Get-Existing $root
    try { New-Own $root } catch { Stop-Run 'unwritable' $_.Exception.GetBaseException().Message }
    $state.made = $near
    Assert-Unexposed $root
}

function New-Staging { # checked, as its files are started: another user may have created it while the root was writable for others
    if (-not (Test-There $staging)) { New-Folder $staging }
    Assert-Unexposed $staging
    $state.staged = 'yes'
}

function Enter-Lock {
    $path = Join-Name $root '.standalone-python.lock'
    $me = "$PID`:$([Diagnostics.Process]::GetCurrentProcess().StartTime.ToFileTimeUtc())::$([Environment]::MachineName)"
    $started = [Diagnostics.Stopwatch]::StartNew()
    while ($true) {
        $holder = Get-LockText $path
        if ($null -ne $holder -and -not $holder) { Stop-Run 'obstacle' $path }
        try {
            $state.lock = [IO.FileStream]::new($path, 'OpenOrCreate', 'ReadWrite', 'Read, Delete', 256, 'DeleteOnClose')
            break
        } catch {
            $problem = $_.Exception.GetBaseException()
            # The run that created the root has failed and removed it.
            if ($problem -is [IO.DirectoryNotFoundException] -and $started.Elapsed.TotalSeconds -lt 60) { New-Root; continue }
            if (-not (Test-There $path) -and $started.Elapsed.TotalSeconds -ge 2) { Stop-Run 'unwritable' $problem.Message }
            if ($started.Elapsed.TotalSeconds -ge [Math]::Max(1, [int]$lock_timeout)) {
                if ($holder) { Stop-Run 'locked' "$path (pid:started:boot:host is $holder)" } else { Stop-Run 'unwritable' $problem.Message }
            }
        }
        [Threading.Thread]::Sleep(200)
    }
    # A run that ends removes the file, so a killed run left one that has a text.
    if ($state.lock.Length) { $state.cleared = 'yes' }
    $bytes = [Text.Encoding]::ASCII.GetBytes($me)
    $state.lock.SetLength(0)
    $state.lock.Write($bytes, 0, $bytes.Length)
    $state.lock.Flush()
    # Older versions use another name. A dead run left a file that nobody has open.
    $old = Join-Name $root '.lock'
    while ($holder = Get-LockText $old) {
        try {
            [IO.FileStream]::new($old, 'Open', 'Read', 'Read').Dispose()
            [IO.File]::Delete($old)
            $state.cleared = 'yes'
            continue
        } catch { }
        if ($started.Elapsed.TotalSeconds -ge [Math]::Max(1, [int]$lock_timeout)) {
            Stop-Run 'locked' "$old (pid:started:boot:host is $holder)"
        }
        [Threading.Thread]::Sleep(200)
    }
}

function Exit-Run { # after a failure too: moves builds back, and removes the staging folder, the lock and an empty root
    if ($state.lock) {
        if ($state.staged) {
            Restore-Builds $staging
            if (-not (Remove-Tree $staging) -and -not $state.held.Contains($staging)) { [void]$state.held.Add($staging) }
        }
        # Before it is closed, so that nobody can open it in between; not every system removes it by itself.
        [IO.File]::Delete((Join-Name $root '.standalone-python.lock'))
        $state.lock.Dispose()
        $state.lock = $null
    }
    $folder = $root
    while ($state.made -and $folder -and $folder -ne $state.made) {
        try { [IO.Directory]::Delete($folder, $false) } catch { break }
        $folder = [IO.Path]::GetDirectoryName($folder)
    }
}

function Restore-Builds([string]$from) { # moves builds back whose exchange was not completed
    if (-not [IO.Directory]::Exists($from)) { return }
    foreach ($place in [IO.Directory]::GetDirectories($from)) {
        $old = Join-Name $place 'old'
        $back = Join-Name $root ([IO.Path]::GetFileName($place))
        if ([IO.Directory]::Exists($old) -and -not (Test-There $back)) {
            [IO.Directory]::Move($old, $back)
            [void]$state.restored.Add($back)
        }
    }
}

function Find-Obstacles { # what has a name that a run uses, and is of another kind
    $path = Join-Name $root '.standalone-python.staging'
    if ([IO.File]::Exists($path)) { Stop-Run 'obstacle' $path }
    foreach ($folder in $root, $bin_dir) {
        $path = Join-Name $folder '.standalone-python-link'
        if ([IO.Directory]::Exists($path) -and -not (Use-Junction 'is' $path)) { Stop-Run 'obstacle' $path }
    }
}

function Clear-Leftovers {
    $before = Join-Name $root '.staging'
    foreach ($folder in @($staging) + @(if (Test-Staging $before) { $before })) {
        if (-not (Test-There $folder)) { continue }
        Assert-Unexposed $folder
        $state.cleared = 'yes'
        Restore-Builds $folder
        if (-not (Remove-Tree $folder)) { [void]$state.held.Add($folder) }
    }
    foreach ($folder in $root, $bin_dir) {
        $link = Join-Name $folder '.standalone-python-link'
        if (Test-There $link) { Remove-Link $link; $state.cleared = 'yes' }
    }
}

function Remove-Link([string]$path) {
    if (Use-Junction 'is' $path) { Use-Junction 'remove' $path }
    elseif (Test-There $path) { [IO.File]::Delete($path) }
}

function Test-Seen([string]$at, [string]$kind, [string]$text) { # is this still what the plan saw? AT: a path, or the name of a build
    $path = Join-Name $root $at
    $is = $false
    switch ($kind) {
        # A build that this run has just moved back did not exist when the plan was made.
        absent { $is = -not (Test-There $path) -or $state.restored.Contains($path) }
        link {
            $to = if (Use-Junction 'is' $path) { Get-StableTarget $path } else { Get-Launched $path }
            $is = $to -and ($text -eq '*' -or $to -ceq $text)
        }
        build {
            $is = -not (Use-Junction 'is' $path) -and [IO.Directory]::Exists((Join-Name $path '.standalone-python')) -and
                ($text -eq '*' -or (Get-Mark $path) -ceq $text)
        }
        file { $is = [IO.File]::Exists($path) }
        text { try { $is = (@(Read-Lines $path) -join ' ') -ceq $text } catch { } }
        folder { $is = [IO.Directory]::Exists($path) -and -not (Use-Junction 'is' $path) -and -not [IO.Directory]::Exists((Join-Name $path '.standalone-python')) }
    }
    if (-not $is) { $state.differs = $path }
    $is
}

function Get-Mark([string]$folder) { # -> the lines of its receipt that identify this installation, as the controller computes them
    try { $lines = (Read-Text (Join-Name $folder '.standalone-python/receipt.json')).Split("`n") } catch { return '' }
    $marking = foreach ($line in $lines) {
        foreach ($start in ' "installed_at": ', ' "files_sha256": ', ' "started": ') {
            if ($line.StartsWith($start, [StringComparison]::Ordinal)) { $line.TrimEnd("`r") }
        }
    }
    $marking -join ''
}

# A moment is left between this check and the next step.
function Assert-Still([string]$at, [string]$kind, [string]$text) {
    if (-not (Test-Seen $at $kind $text)) { Stop-Run 'changed' $state.differs }
}

function Assert-Launcher([string]$path, [string]$to) { # can this launcher be written? (a junction in the root always can)
    $state.step = "checking $path"
    $folder = [IO.Path]::GetDirectoryName($path)
    if ($folder -eq $root) { return }
    Assert-Unexposed $folder
    [void](Get-LauncherText $folder $to)
}

# A junction can't be renamed over another, so the stable link is missing for a moment. A run that is killed then leaves the new
# junction under its temporary name, and the next run creates it again.
function Set-Stable([string]$path, [string]$name) {
    $state.step = "linking $path"
    $new = Join-Name $root '.standalone-python-link'
    Use-Junction 'make' $new (Join-Name $root $name)
    Wait-While { if (Test-There $path) { Remove-Link $path }; [IO.Directory]::Move($new, $path) }
    $state.committing = 'yes'
}

function Set-Launcher([string]$path, [string]$to) {
    $state.step = "linking $path"
    $folder = [IO.Path]::GetDirectoryName($path)
    if (-not [IO.Directory]::Exists($folder)) { if (Test-Below $folder $root) { New-Folder $folder } else { New-Own $folder } }
    $new = Join-Name $folder '.standalone-python-link'
    [IO.File]::WriteAllText($new, (Get-LauncherText $folder $to), [Text.Encoding]::ASCII)
    Wait-While {
        if ([IO.File]::Exists($path)) { [IO.File]::Replace($new, $path, [NullString]::Value) } else { [IO.File]::Move($new, $path) }
    }
    $state.committing = 'yes'
}

# cmd reads a launcher in the code page of its console, so the text is ASCII. Variables keep other letters right.
function Get-LauncherText([string]$folder, [string]$to) {
    $separator = [IO.Path]::DirectorySeparatorChar
    if (Test-Below "$folder$separator" $root) {
        $up = $folder.Substring($root.Length).TrimStart($separator).Split($separator).Length
        $target = '%~dp0' + '..\' * $up + $to.Substring($root.Length + 1).Replace('%', '%%')
    } elseif (Test-Below $to (Get-Home)) { $target = '%USERPROFILE%' + $to.Substring((Get-Home).Length).Replace('%', '%%') }
    else { $target = $to.Replace('%', '%%') }
    if ($target -match '[^\x20-\x7e]') { Stop-Run 'launcher' $to }
    "@rem standalone-python keeps this file`r`n@`"$($target.Replace($separator, '\'))`" %*`r`n"
}

function Set-Link([string]$path, [string]$to) {
    if ([IO.Path]::GetDirectoryName($path) -eq $root) { Set-Stable $path $to } else { Set-Launcher $path $to }
}

function Assert-History { # can the history be written?
    $path = Join-Name $root '.standalone-python.history'
    $state.step = "checking $path"
    if ([IO.Directory]::Exists($path)) { Stop-Run 'obstacle' $path }
}

function Set-History([string[]]$names) { # writes which builds were in use, oldest first; without any it removes the file
    $path = Join-Name $root '.standalone-python.history'
    $state.step = "writing $path"
    $state.committing = 'yes'
    if (-not $names) {
        if (Test-There $path) { Wait-While { [IO.File]::Delete($path) } }
        return
    }
    $new = Join-Name $staging 'history'
    [IO.File]::WriteAllText($new, ($names -join "`n") + "`n", [Text.Encoding]::ASCII)
    Wait-While {
        if ([IO.File]::Exists($path)) { [IO.File]::Replace($new, $path, [NullString]::Value) } else { [IO.File]::Move($new, $path) }
    }
}

function Clear-Link([string]$path) {
    $state.step = "removing $path"
    Wait-While { Remove-Link $path }
    $state.committing = 'yes'
}

function Clear-Check([string]$name) { # a full check of it (remember.ps1) was of the files before
    $checks = Join-Name $root '.standalone-python.checked'
    $path = Join-Name $checks $name
    if (-not [IO.File]::Exists($path)) { return }
    [IO.File]::Delete($path)
    if (-not [IO.Directory]::GetFileSystemEntries($checks).Length) { [IO.Directory]::Delete($checks) }
}

function Complete-Rename([string]$name) { # moves the build to its place; what has that name is moved away first
    $state.step = "renaming $name"
    $place = Join-Name $root $name
    if (Test-There $place) {
        $old = Join-Name (Join-Name $staging $name) 'old'
        New-Folder ([IO.Path]::GetDirectoryName($old))
        try { Wait-While { if ([IO.Directory]::Exists($place)) { [IO.Directory]::Move($place, $old) } else { [IO.File]::Move($place, $old) } } }
        catch { Stop-Run 'held' $place }
    }
    Wait-While { [IO.Directory]::Move((Join-Name $state.places[$name] 'python'), $place) }
    Clear-Check $name
    $state.committing = 'yes'
}

function Remove-Build([string]$name) { # moves the build away first, so that its place never holds a part of it
    $state.step = "removing $name"
    $place = Join-Name $root $name
    if (-not [IO.Directory]::Exists($place)) { return }
    $away = Join-Name (Join-Name $staging $name) 'removed'
    while (Test-There $away) { $away += '_' }
    New-Folder ([IO.Path]::GetDirectoryName($away))
    try { Wait-While { [IO.Directory]::Move($place, $away) } } catch { [void]$state.held.Add($place); return }
    Clear-Check $name
    $state.committing = 'yes'
}

function Invoke-Application {
    $root = Resolve-Folder $root
    $bin_dir = Resolve-Folder $bin_dir
    $staging = Join-Name $root '.standalone-python.staging'
    $state.places = @{}
    try {
        $state.step = "making $root"
        New-Root
        $state.step = "locking $root"
        Enter-Lock
        $state.step = 'clearing what an earlier run left'
        Find-Obstacles
        Clear-Leftovers
        # Another run may have changed the host while this one waited for the lock: then the controller plans again.
        if (-not (Test-Premises)) {
            $state.outdated = 'yes'
            Exit-Run
            Write-Observation
            return $said -join "`n"
        }
        New-Staging
        Invoke-Prepare
        $state.step = 'checking that nothing has changed'
        if (-not (Test-Premises)) { Stop-Run 'changed' $state.differs }
        Invoke-Commit
        $state.made = ''
        $state.step = 'clearing the staging folder'
        Exit-Run
        Write-Observation
    } catch {
        $problem = $_.Exception
        if (-not $state.code) {
            $state.code = Resolve-Failure $problem 'io'
            $state.detail = Hide-Secrets $problem.GetBaseException().Message
        }
        $step = $state.step
        try { Exit-Run } catch { $state.detail += "; and then: $($_.Exception.GetBaseException().Message)" }
        $said.Clear()
        [void]$said.Add('== standalone-python failure 1 ==')
        Write-Pair 'step' $step
        Write-Pair 'failure' $state.code
        Write-Pair 'committing' $state.committing
        if ($state.detail) { Write-Pair 'detail' $state.detail }
        [void]$said.Add('== standalone-python failure end ==')
    }
    $said -join "`n"
}
