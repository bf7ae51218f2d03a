# rebuild.ps1: makes a build from a delta and an installed build. Sent with build.ps1 where a plan uses a delta.

# The old build's interpreter writes the tar of the new build. Nothing is unpacked before the tar has its checksum. The delta decides
# what is in the tar, so its checksum comes first. Whatever fails here, the host gets a whole archive instead.
function Expand-Rebuilt([string]$delta, [string]$sha256, [string]$base, [string]$tarSha256, [long]$kilobytes) {
    $state.step = "rebuilding $($state.name)"
    $old = Join-Name $root $base
    $tar = Join-Name $state.here 'rebuilt.tar'
    try {
        Assert-Space ($kilobytes * 2) # the tar, and what is unpacked from it
        Assert-Sha256 $delta $sha256
        $found = Find-ChangerOfLibrary $old
        if ($found) { Stop-Run 'untrusted' $found }
        Write-Rebuilt $delta $old $tarSha256 $tar
    } finally { try { [IO.File]::Delete($delta) } catch { } } # an archive may come into its folder next
    Expand-Checked $tar $tarSha256
    [IO.File]::Delete($tar)
    try { [IO.Directory]::Delete([IO.Path]::GetDirectoryName($delta), $false) } catch { } # if it was the last one
}

function Expand-PulledDelta([string]$sha256, [string]$base, [string]$tarSha256, [long]$kilobytes) { # one that the host downloads
    $delta = Join-Name $state.here 'archive'
    Save-First $delta
    Expand-Rebuilt $delta $sha256 $base $tarSha256 $kilobytes
}

function Write-Rebuilt([string]$delta, [string]$old, [string]$tarSha256, [string]$tar) {
    $words = @('-I', '-B', '-X', 'utf8', '-S', (Join-Name $staging 'delta.py'), $delta, $old, $tarSha256)
    $process = [Diagnostics.Process]::Start((Get-Starter (Join-Name $old 'python.exe') (Join-Arguments $words)))
    try {
        $process.StandardInput.Close()
        $errors = $process.StandardError.ReadToEndAsync()
        $file = [IO.FileStream]::new($tar, 'CreateNew', 'Write', 'None', 65536)
        try { $process.StandardOutput.BaseStream.CopyTo($file, 65536) } finally { $file.Dispose() }
    } catch { # it would wait for a reader, and hold its files
        try { $process.Kill() } catch { }
        throw
    } finally { $process.WaitForExit() }
    if ($process.ExitCode -ne 0) { Stop-Run 'unpack' "$($errors.Result)".Trim() }
}

# With -S, an interpreter imports nothing from site-packages.
function Find-ChangerOfLibrary([string]$build) { # -> who else could change what its interpreter loads; nothing if nobody could
    $found = Find-ChangerOfProgram (Join-Name $build 'python.exe')
    if ($found) { return $found }
    $lib, $extensions = (Join-Name $build 'Lib'), (Join-Name $build 'DLLs')
    $packages = Join-Name $lib 'site-packages'
    $paths = @($lib, $extensions) + [IO.Directory]::GetDirectories($lib, '*', 'AllDirectories') + [IO.Directory]::GetFiles($extensions)
    foreach ($path in $paths) {
        if ($path -eq $packages -or (Test-Below $path $packages)) { continue }
        $found = Find-Link $path
        if (-not $found) { $found = Find-Changer $path 'itself' $false }
        if ($found) { return $found }
    }
}
