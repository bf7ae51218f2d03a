# removal.ps1: the part of script.ps1 that removes builds, as removal.sh. The controller has put the names of those that may have to go
# in order. A host's builds of other names stay.
#
# `Invoke-KindN` of the renderer calls these functions in the order of a plan's steps. Each of them decides in the phase `decide`, and
# does what was decided in the phases `prepare` and `commit`. A build that a process has open can't be moved away: it stays, with
# $state.held (apply.ps1), and a later run removes it.
#
# Set before it: what script.ps1 needs.

function Clear-Removals {
    $state.going = @() # names of builds that go
    $state.busy = @() # of those that would go, if no process had files in them open
    $state.kept = @() # of replaced builds that stay
    $state.wanted = @() # paths of the declared links
    $state.unlinks = @() # the other paths, each with its target
    $state.tags = @() # of the registry's entries that go
}

function Test-Stays([string]$name) { (Test-Build $name) -and $state.going + $state.busy -notcontains $name }

function Add-Going([string]$name) { # a build that a process has open stays
    if ($state.held.Contains((Join-Name $root $name))) { $state.busy += $name } else { $state.going += $name }
}

function Add-Unwanted($names) { # builds that go
    if ($state.phase -ne 'decide') { return }
    foreach ($name in $names) { if (Test-Build $name) { Add-Going $name } }
}

function Add-Replaced([string]$line, [int]$keep, $names) { # builds of a line that the script doesn't install, newest first; KEEP of them stay
    if ($state.phase -ne 'decide') { return }
    $there = @(foreach ($name in $names) { if (Test-Stays $name) { $name } })
    # The build that was in use stays before any other.
    $now = if (Use-Junction 'is' (Join-Name $root $line)) { Get-StableTarget (Join-Name $root $line) }
    foreach ($name in @(if ($there -contains $now) { $now }) + @($there -cne $now)) {
        if ($keep -gt 0) {
            $keep--
            $state.kept += $name
        } elseif (-not (Test-UserPackages $name)) { Add-Going $name }
    }
}

function Test-UserPackages([string]$name) { # would the removal lose packages that only a controller copies?
    $plan.keeps_packages -and [int]('0' + (Get-All @(Get-Block $name) 'packages')) -gt 0
}

function Get-Launchers { # -> the paths of the root's launchers, each with its target and the line or build that it leads through
    foreach ($path in Get-Entries $bin_dir 'python') {
        if ([IO.Path]::GetFileName($path) -cnotmatch '^python(3(\.[0-9]+[td]*)?)?\.cmd$') { continue }
        $to = "$(Get-Launched $path)"
        $start = (ConvertTo-Slashes $root) + '/'
        if (-not $to.StartsWith($start, [StringComparison]::Ordinal)) { continue }
        $name, $program = $to.Substring($start.Length).Split('/', 2)
        if ($program -cne 'python.exe' -or -not ((Test-LineName $name) -or (Test-BuildName $name))) { continue }
        @{ path = $path; to = $to; through = $name }
    }
}

function Test-LineName([string]$name) { $name -cmatch '^cpython-[0-9]+\.[0-9]+(\+(freethreaded|debug|static))*$' }

function Test-BuildName([string]$name) { $name -cmatch '^cpython-[0-9]+\.[0-9][^/\\]*\+[0-9]+-[^/\\]+$' }

function Get-Stable { # -> the paths of stable links that lead to a build, each with its target
    foreach ($path in Get-Entries $root 'cpython-') {
        if (-not (Test-LineName ([IO.Path]::GetFileName($path))) -or -not (Use-Junction 'is' $path)) { continue }
        $to = Get-StableTarget $path
        if (Test-BuildName $to) { @{ path = $path; to = $to } }
    }
}

function Test-Leads([string]$name, $made) { # does a line or build lead to a build that stays?
    $path = Join-Name $root $name
    if (Test-LineName $name) {
        if ($state.wanted -contains $path) { return $true }
        if (-not (Use-Junction 'is' $path)) { return $false }
        $name = Get-StableTarget $path
    }
    $made -contains $name -or (Test-Stays $name)
}

# MADE: the script's own builds. Links to builds that go. The stable ones are last, as others lead through them.
function Find-Unlinks($made) {
    switch ($state.phase) {
        decide {
            if (-not ($state.going + $state.busy)) { return }
            $state.unlinks = @(
                foreach ($link in Get-Launchers) {
                    if ($state.wanted -notcontains $link.path -and -not (Test-Leads $link.through $made)) { $link }
                }
                foreach ($link in Get-Stable) {
                    if ($state.wanted -contains $link.path) { continue }
                    # A process in a virtual environment imports through the link of its build.
                    if ((Test-Build $link.to) -and $state.going -notcontains $link.to) { continue }
                    $link
                }
            )
            foreach ($link in $state.unlinks) { Add-Step (Get-Unlinking $link.path $link.to) }
        }
        prepare {
            if ($state.going) { Assert-History }
            foreach ($link in $state.unlinks) {
                $state.step = "checking $($link.path)"
                Assert-Unexposed ([IO.Path]::GetDirectoryName($link.path))
            }
        }
        commit {
            foreach ($link in $state.unlinks) {
                if (-not (Test-Seen $link.path 'link' $link.to)) { Stop-Run 'changed' $link.path }
                Clear-Link $link.path
            }
        }
    }
}

function Get-Unlinking([string]$path, [string]$to) { "remove the link $path to $(ConvertTo-Native $to)" }

# The registry's entries that lead through the root: of a declared line under another tag, of a line that has no build any more, and with
# EXCLUSIVE all but TAGS.
function Find-Unregistered($tags, $lines, [bool]$exclusive) {
    switch ($state.phase) {
        decide {
            $start = (ConvertTo-Slashes $root) + '/'
            $left = @(foreach ($link in Get-Stable) { if (Test-Stays $link.to) { [IO.Path]::GetFileName($link.path) } }) + $lines
            $state.tags = @(foreach ($entry in @(Get-All $state.pairs 'registered')) {
                $words = $entry.Split(' ', 4)
                if ($tags -contains $words[0] -or -not $words[-1].StartsWith($start, [StringComparison]::Ordinal)) { continue }
                $line = $words[-1].Substring($start.Length).Split('/')[0]
                if (-not $exclusive -and $lines -notcontains $line -and $left -contains $line) { continue }
                Add-Step "unregister $($words[0]), $($words[1]) at $(ConvertTo-Native $words[-1])"
                $words[0]
            })
        }
        prepare { if ($state.tags) { Assert-Registry } }
        commit { foreach ($tag in $state.tags) { Unregister-Line $tag } }
    }
}

# The PATH loses a folder that standalone-python added, if it has no launcher any more, or if it is declared so (REFUSED).
function Clear-InPath([bool]$refused) {
    $step = "take $bin_dir off the PATH"
    switch ($state.phase) {
        decide {
            if ((Get-Value 'path') -ne 'ours') { return }
            $gone = @(foreach ($link in $state.unlinks) { $link.path })
            $links = @($state.wanted) + @(foreach ($link in Get-Launchers) { if ($gone -notcontains $link.path) { $link.path } })
            $used = @(foreach ($path in $links) { if ([IO.Path]::GetDirectoryName($path) -eq $bin_dir) { $path } })
            if ($refused -or -not $used) { Add-Step $step }
        }
        prepare { if (Test-Step $step) { Assert-Registry } }
        commit { if (Test-Step $step) { Set-SearchPath $bin_dir $false } }
    }
}

function Find-Removals($made) { # MADE: the script's own builds. The last steps; and what stays
    switch ($state.phase) {
        decide {
            foreach ($name in @(Get-All $state.pairs 'build')) {
                if ($state.going -contains $name) { Add-Step "remove $name" }
                elseif ($made + $state.kept + $state.busy -notcontains $name) { [void]$state.left.Add($name) }
            }
        }
        commit {
            foreach ($name in $state.going) { Remove-Build $name }
            if (-not $state.going) { return }
            foreach ($path in Get-Entries $root 'cpython-') { if (Test-Build ([IO.Path]::GetFileName($path))) { return } }
            Set-History @()
        }
    }
}
