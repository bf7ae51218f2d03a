# build.ps1: prepares a build in the staging folder: verifies and unpacks its archive, and lets its interpreter finish it.
# Sent with apply.ps1 where a plan installs builds.

function Start-Build([string]$name) { # creates the folder in which a build is prepared
    $state.step = "preparing $name"
    $state.name = $name
    $state.here = Join-Name $staging $name
    # A program may still use what an earlier run left there.
    while (Test-There $state.here) { $state.here += '_' }
    New-Folder $state.here
    $state.places[$name] = $state.here
    if ($state.finisher) { return }
    $state.finisher = 'there'
    $files = Get-Finisher
    foreach ($file in $files.Keys) { [IO.File]::WriteAllText((Join-Name $staging $file), $files[$file], [Text.UTF8Encoding]::new($false)) }
}

function Assert-Space([long]$kilobytes) {
    $free = Get-FreeKb $staging
    if ($null -ne $free -and $free -lt $kilobytes) { Stop-Run 'space' "$kilobytes $free" }
}

function Assert-Sha256([string]$file, [string]$sha256) {
    try { $found = Get-Sha256 $file } catch { $found = '(unreadable)' }
    if ($found -ne $sha256) { Stop-Run 'checksum' "$sha256 $found" }
}

function Expand-Checked([string]$archive, [string]$sha256) { # unpacks nothing before the checksum matches
    Assert-Sha256 $archive $sha256
    $tar = Get-SystemProgram 'tar.exe'
    if ([IO.File]::Exists($tar)) { Expand-WithTar $tar $archive } else { Expand-Here $archive }
}

# tar.exe gets no path: how it reads letters that aren't ASCII depends on its version.
function Expand-WithTar([string]$tar, [string]$archive) {
    $start = Get-Starter $tar '-xf -'
    $start.WorkingDirectory = $state.here
    # With the code page UTF-8, which Ansible sets, .NET Framework writes a byte order mark to a program's input.
    try { [Console]::InputEncoding = [Text.UTF8Encoding]::new($false) } catch { } # no console
    $process = [Diagnostics.Process]::Start($start)
    $errors = $process.StandardError.ReadToEndAsync()
    $out = $process.StandardOutput.ReadToEndAsync()
    $file = [IO.FileStream]::new($archive, 'Open', 'Read', 'Read', 65536)
    try { $file.CopyTo($process.StandardInput.BaseStream, 65536); $process.StandardInput.Close() }
    catch { } # it has ended and printed the reason
    finally { $file.Dispose() }
    $process.WaitForExit()
    if ($process.ExitCode -ne 0) {
        $why = ($errors.Result + $out.Result).Trim()
        if ((Get-FreeKb $staging) -lt 1024) { Stop-Run 'space' $why }
        Stop-Run 'unpack' "tar.exe: $why"
    }
}

function Expand-Pushed([string]$archive, [string]$sha256, [long]$kilobytes) { # an archive that the controller sent
    $state.step = "unpacking $($state.name)"
    Assert-Space $kilobytes
    Expand-Checked $archive $sha256
    [IO.File]::Delete($archive)
    try { [IO.Directory]::Delete([IO.Path]::GetDirectoryName($archive), $false) } catch { } # if it was the last one
}

# Windows programs split their command line so: a backslash is special only before a quote.
function Join-Arguments([string[]]$words) {
    $quoted = foreach ($word in $words) { '"' + ([regex]::Replace($word, '(\\*)("|$)', { param($m) $m.Groups[1].Value * 2 + $(if ($m.Groups[2].Length) { '\"' }) })) + '"' }
    $quoted -join ' '
}

function Complete-Build([string[]]$settings) { # starts the new interpreter, which finishes its own installation
    $name = $state.name
    $state.step = "finishing $name"
    $tree = Join-Name $state.here 'python'
    $python = Join-Name $tree 'python.exe'
    if (-not [IO.File]::Exists($python)) { Stop-Run 'content' 'it has no python/python.exe' }
    $words = @('-I', '-B', '-X', 'utf8', (Join-Name $staging 'finish.py'), "tree=$tree", "root=$root", "final=$(Join-Name $root $name)", "name=$name") + $settings
    $answer = Invoke-Program $python (Join-Arguments $words)
    if ($answer.code -eq 0) { return }
    $code = 'start'
    $detail = $answer.said
    foreach ($line in $answer.out.Split("`n")) {
        if ($line.StartsWith('failure=')) { $code = $line.Substring(8).Trim() }
        if ($line.StartsWith('detail=')) { $detail = $line.Substring(7).Trim() }
    }
    if (-not $detail) { $detail = "it ended with exit code $($answer.code) and printed nothing" }
    Stop-Run $code $detail
}
