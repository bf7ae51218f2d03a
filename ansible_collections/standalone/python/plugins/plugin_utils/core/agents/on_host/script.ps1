# script.ps1: the main part of a script that installs builds on a Windows host without a controller, as script.sh. It follows all other
# parts. removal.ps1 decides what is removed.
#
# Set before it: what apply.ps1 needs, and $plan: kinds (the triples, for people), made_from (the lock file and its sha256), help, force,
# keeps_packages, beside (a folder with the archives, relative to the script) and sentences (code of a failure -> sentence).
# The renderer adds the functions Get-Kind and Invoke-KindN.

$state.todo = [Collections.ArrayList]::new()
$state.left = [Collections.ArrayList]::new()
$state.prepared = $false

function Stop-Script([string]$sentence, [int]$code = 1) { # texts of hosts and servers may contain control characters
    [Console]::Error.WriteLine('install-python: ' + [regex]::Replace($sentence, '[\x00-\x1f\x7f]+', ' '))
    exit $code
}

function Get-Pairs { # -> the key=value lines of an agent, decoded
    foreach ($line in $said) {
        $at = $line.IndexOf('=')
        if ($at -lt 1 -or $line.StartsWith('==')) { continue }
        $key, $value = $line.Substring(0, $at), $line.Substring($at + 1)
        if ($key.EndsWith('*')) {
            $key = $key.TrimEnd('*')
            $value = [Text.Encoding]::UTF8.GetString([Convert]::FromBase64String($value))
        }
        , @($key, $value)
    }
}

function Update-Observation([string]$facts) { # looks at the host
    $state.facts = $facts
    $said.Clear()
    Write-Observation
    $state.pairs = @(Get-Pairs)
    $said.Clear()
}

function Get-Value([string]$key) { # -> of the observation; empty if it lacks the key
    foreach ($pair in $state.pairs) { if ($pair[0] -ceq $key) { return $pair[1] } }
    ''
}

function Get-Block([string]$name) { # -> what the observation has of a build; nothing if it lacks the build
    $inside = $false
    foreach ($pair in $state.pairs) {
        if ($pair[0] -ceq 'build') { $inside = $pair[1] -ceq $name }
        if ($inside) { , $pair }
    }
}

function Get-All($block, [string]$key) { foreach ($pair in $block) { if ($pair[0] -ceq $key) { $pair[1] } } }

function Test-Line($lines, [string]$start) { # does one of LINES begin so?
    foreach ($line in $lines) { if ($line.StartsWith(" $start", [StringComparison]::Ordinal)) { return $true } }
    $false
}

function Test-Lines($lines, $starts) { # does each of STARTS begin one of LINES?
    foreach ($start in $starts) { if (-not (Test-Line $lines $start)) { return $false } }
    $true
}

function Test-Sound($block, [string]$name, [string]$version, $its) { # does it start, as what it is, from where it is?
    $receipt = @(Get-All $block 'receipt')
    $start = @(Get-All $block 'start') -join ''
    if ($start -ne 'untrusted' -and ($start -ne '0' -or @(Get-All $block 'says')[-1] -cne "Python $version")) { return $false }
    if (-not (Test-Lines $receipt $its)) { return $false }
    # Damage that the last full check found (remember.ps1), unless it was of another installation.
    $check = (@(Get-All $block 'checked') -join '').Split(' ', 3)
    if ($check.Length -eq 3 -and $check[2] -cne 'clean') {
        $at, $list = $check[1].Split('/', 2)
        if (Test-Lines $receipt @("`"installed_at`": `"$at`"", "`"files_sha256`": `"$list`"")) { return $false }
    }
    $text = $receipt -join "`n"
    # The finisher escapes a path for JSON, which has the same escapes as this.
    if ($text -cnotmatch '(?m)^ "prefix": "(.*)",?$') { return $false }
    $prefix = [regex]::Unescape($Matches[1]) -replace '^[\\/]{2}\?[\\/]', ''
    if ((ConvertTo-Slashes $prefix) -ne (ConvertTo-Slashes (Join-Name $root $name))) { return $false }
    $text -cmatch '(?m)(?s).*^ "modules": ([0-9]{1,9})' -and [int](Get-All $block 'modules') -ge [int]$Matches[1]
}

function Add-Step([string]$step) { [void]$state.todo.Add($step) }

function Test-Step([string]$step) { $state.todo.Contains($step) }

# A build that the host must have. ITS: what lines of its receipt begin with; HAS: the same if it was finished as declared; LACKS: what
# none begins with.
function Set-Build([string]$name, [string]$version, $its, $has, $lacks, [scriptblock]$prepare) {
    $steps = 'install', 'repair', 'reinstall'
    if ($state.phase -eq 'decide') {
        $block = @(Get-Block $name)
        $place = Join-Name $root $name
        if (-not $block) {
            if ((Test-There $place) -and -not $plan.force) {
                Stop-Script "cannot install $name in ${root}: something of that name exists there and was not created by standalone-python; move it away, choose another root, or declare force: true; nothing was changed"
            }
            Add-Step "install $name"
            return
        }
        $receipt = @(Get-All $block 'receipt')
        $sound = Test-Sound $block $name $version $its
        $finished = (Test-Lines $receipt $has) -and -not @($lacks | Where-Line $receipt)
        if ($sound -and $finished) { return }
        if ($plan.keeps_packages -and [int]('0' + (Get-All $block 'packages')) -gt 0) {
            Stop-Script "$place has to be installed again, and contains packages of users, which only a run of standalone-python with a controller copies: use that, or declare user_packages: discard; nothing was changed"
        }
        Add-Step $(if ($sound) { "reinstall $name" } else { "repair $name" })
        return
    }
    foreach ($step in $steps) {
        if (-not (Test-Step "$step $name")) { continue }
        if ($state.phase -eq 'prepare') { & $prepare } else { Complete-Rename $name }
        return
    }
}

filter Where-Line($lines) { if (Test-Line $lines $_) { $_ } }

function Test-Replaceable([string]$path) { # is there nothing, or a link to a build of the root?
    if (-not (Test-There $path)) { return $true }
    $junction = Use-Junction 'is' $path
    if ([IO.Directory]::Exists($path) -and -not $junction) { return $false }
    if ($plan.force) { return $true }
    if ($junction) { return (Get-StableTarget $path).StartsWith('cpython-') }
    $to = Get-Launched $path
    [bool]$to -and $to.StartsWith((ConvertTo-Slashes $root) + '/cpython-', [StringComparison]::OrdinalIgnoreCase)
}

function Set-WantedLink([string]$path, [string]$to) {
    $step = "link $path to $to"
    switch ($state.phase) {
        decide {
            $state.wanted += $path
            if (Test-Seen $path 'link' (ConvertTo-Slashes $to)) { return }
            if (-not (Test-Replaceable $path)) {
                Stop-Script "cannot link $path to ${to}: it exists and was not created by standalone-python; move it away, choose another folder, or declare force: true; nothing was changed"
            }
            Add-Step $step
        }
        prepare {
            if (-not (Test-Step $step)) { return }
            Assert-Launcher $path $to
            Assert-History
        }
        commit {
            if (-not (Test-Step $step)) { return }
            if (-not (Test-Replaceable $path)) { Stop-Run 'changed' $path }
            if (Use-Junction 'is' $path) { Add-History (Get-StableTarget $path) }
            Set-Link $path $to
        }
    }
}

function Test-Build([string]$name) { # is it a build in the root?
    $place = Join-Name $root $name
    $name -cmatch '^cpython-[^\\/]+$' -and [IO.Directory]::Exists((Join-Name $place '.standalone-python')) -and -not (Use-Junction 'is' $place)
}

function Add-History([string]$was) { # records what a stable link led to; builds that are gone or go drop out
    $text = try { Read-Text (Join-Name $root '.standalone-python.history') } catch { '' }
    $names = @(foreach ($name in $text.Split("`n")) { if (Test-Stays $name) { $name } })
    if ((Test-Stays $was) -and ($names.Length -eq 0 -or $names[-1] -cne $was)) { $names += $was }
    if ((-join ($names | Add-LineEnd)) -cne $text) { Set-History $names }
}

filter Add-LineEnd { "$_`n" }

function Set-StableLink([string]$line, [string]$name) { Set-WantedLink (Join-Name $root $line) $name }

function Set-InBin([string]$name, [string]$to) { Set-WantedLink (Join-Name $bin_dir $name) (Join-Name $root (ConvertTo-Native $to)) }

function Set-Registered([string]$tag, [string]$version, [string]$bits, [string]$to) {
    $python = Join-Name $root (ConvertTo-Native $to)
    $step = "register $tag as $version at $python"
    switch ($state.phase) {
        decide {
            foreach ($entry in @(Get-All $state.pairs 'registered')) {
                if ($entry -ceq "$tag $version $bits $(ConvertTo-Slashes $python)") { return }
                if ($entry.StartsWith("$tag ") -and -not $plan.force -and -not $entry.Contains(" $(ConvertTo-Slashes $root)/")) {
                    Stop-Script "StandalonePython\$tag in the registry stands for an interpreter that is not in ${root}: remove it there, or declare register: false; nothing was changed"
                }
            }
            Add-Step $step
        }
        prepare { if (Test-Step $step) { Assert-Registry } }
        commit { if (Test-Step $step) { Register-Line $tag $version $bits $python } }
    }
}

function Set-InPath {
    $step = "add $bin_dir to the PATH"
    if ($state.phase -eq 'decide') { if (-not (Get-Value 'path')) { Add-Step $step } }
    elseif ($state.phase -eq 'commit' -and (Test-Step $step)) { Set-SearchPath $bin_dir $true }
}

function Invoke-Decision {
    $state.todo.Clear()
    $state.left.Clear()
    Clear-Removals
    $state.phase = 'decide'
    & "Invoke-Kind$($state.kind)"
}

function Test-Premises { # asked when the run has the lock, and again when all is prepared
    $before = $state.todo -join "`n"
    Update-Observation 'no'
    Invoke-Decision
    # Another run may have done it while this one waited.
    $state.differs = $root
    -not $state.prepared -or $before -ceq ($state.todo -join "`n")
}

function Invoke-Prepare {
    $state.prepared = $true
    $state.phase = 'prepare'
    & "Invoke-Kind$($state.kind)"
}

function Invoke-Commit {
    $state.phase = 'commit'
    & "Invoke-Kind$($state.kind)"
}

function Assert-Done { # says in a sentence what the agent says of a failure
    $failure = @{ detail = ''; step = ''; failure = ''; committing = '' }
    foreach ($pair in Get-Pairs) { if ($failure.ContainsKey($pair[0])) { $failure[$pair[0]] = ($failure[$pair[0]] + ' ' + $pair[1]).Trim() } }
    if (-not $failure.failure) { return }
    $words = $failure.detail.Split(' ')
    $sentence = $plan.sentences[$failure.failure]
    if (-not $sentence) { $sentence = '{detail}' }
    $sentence = $sentence.Replace('{detail}', $failure.detail).Replace('{first}', $words[0]).Replace('{last}', $words[-1])
    $end = if ($failure.committing -eq 'yes') { 'the host is between two states, run again to complete it' } else { 'nothing was changed' }
    Stop-Script "$($failure.step) failed: $sentence; $end"
}

function ConvertTo-JsonText([string]$text) { '"' + [regex]::Replace($text.Replace('\', '\\').Replace('"', '\"'), '[^\x20-\x7e]', { param($one) '\u{0:x4}' -f [int][char]$one.Value }) + '"' }

function Get-Busy { # -> the names of builds that would go, and the path of a staging folder, if a process has files in them open
    $state.busy
    foreach ($path in $state.held) { if ([IO.Path]::GetDirectoryName($path) -ne $root -or -not (Test-Build ([IO.Path]::GetFileName($path)))) { $path } }
}

function Write-Result($options, $steps, [bool]$changed) {
    if ($options.json) {
        $listed = @(foreach ($step in $steps) { ConvertTo-JsonText $step }) -join ', '
        $left = @(foreach ($name in $state.left) { ConvertTo-JsonText $name }) -join ', '
        $busy = @(foreach ($name in Get-Busy) { ConvertTo-JsonText $name }) -join ', '
        '{"changed": ' + "$changed".ToLowerInvariant() + ', "target": ' + (ConvertTo-JsonText $state.triple) + ', "plan": [' + $listed +
        '], "left_alone": [' + $left + '], "in_use": [' + $busy + '], "remarks": [], "made_from": ' + (ConvertTo-JsonText $plan.made_from) + '}'
        return
    }
    if ($options.quiet) { return }
    if ($steps) { $steps } else { 'nothing to do' }
    if ($state.left.Count) { "left alone: $($state.left -join ' ')" }
    $busy = @(Get-Busy)
    if ($busy) { "in use, a later run removes them: $($busy -join ' ')" }
}

function Set-Archives([string]$folder) { # makes the URLs of archives their paths in a folder with a mirror's layout
    foreach ($key in @($secrets.Keys)) {
        if (-not $key.StartsWith('url ')) { continue }
        $parts = ([Uri]::UnescapeDataString(@($secrets[$key])[-1])).Split('/')
        $secrets[$key] = @([IO.Path]::Combine($folder, $parts[-2], $parts[-1]))
    }
}

function Invoke-Main($options) {
    if ($options.help) { $plan.help; exit 0 }
    if ($options.root) { $root = $options.root; $bin_dir = Join-Name $options.root 'bin' }
    if ($options.bin_dir) { $bin_dir = $options.bin_dir }
    foreach ($folder in $root, $bin_dir) {
        if (-not $folder.StartsWith('~') -and -not [IO.Path]::IsPathRooted([Environment]::ExpandEnvironmentVariables($folder))) {
            Stop-Script "$folder is not an absolute path: give one such as C:\Python" 64
        }
    }
    $root = Resolve-Folder $root
    $bin_dir = Resolve-Folder $bin_dir
    $archives = $options.archives
    if (-not $archives -and $plan.beside) { $archives = Join-Name $PSScriptRoot $plan.beside }
    if ($archives) {
        # Instead of download.ps1's: what this function calls finds this one.
        function Save-Url([string]$url, [string]$path) { [IO.File]::Copy($url, $path, $true) }
        Set-Archives ([IO.Path]::GetFullPath($archives))
    }
    Update-Observation 'yes'
    $arch = Get-Value 'arch'
    $state.kind, $state.triple = Get-Kind $arch.ToLowerInvariant()
    if (-not $state.kind) {
        Stop-Script "this host is Windows $arch, for which this script has no build; it has builds for $($plan.kinds): make a script for this host too; nothing was changed"
    }
    Invoke-Decision
    $steps = @($state.todo)
    $clears = 'clear what an earlier run left'
    if ((Get-Value 'leftover') -or (Get-Value 'lock_state') -eq 'dead') { $steps = @($clears) + $steps }
    if (-not $steps) { Write-Result $options @() $false; exit 0 }
    if ($options.check) { Write-Result $options $steps $true; exit 2 }
    $said.Clear()
    [void](Invoke-Application)
    Assert-Done
    $state.prepared = $false
    Update-Observation 'no'
    Invoke-Decision
    if ($state.todo.Count) { Stop-Script "the host is not as planned after the change, something else changes it; still to do: $($state.todo -join '; ')" }
    $undone = @(foreach ($name in $state.busy) { "remove $name" }) + @(if (Get-Value 'leftover') { $clears })
    $steps = @(foreach ($step in $steps) { if ($undone -notcontains $step) { $step } })
    Write-Result $options $steps ($steps.Length -gt 0)
    exit 0
}
