# build.ps1: a build is made in the staging folder: checked, unpacked, and finished by its own interpreter.
# Sent with apply.ps1 where a plan installs builds.

function Start-Build([string]$name) { # an empty place for a build that is being made
    $state.step = "preparing $name"
    $state.name = $name
    $state.here = Join-Name $staging $name
    # What an earlier run left there may still be held.
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

function Expand-Checked([string]$archive, [string]$sha256) { # nothing is unpacked before the sum agrees
    $state.step = "unpacking $($state.name)"
    try { $found = Get-Sha256 $archive } catch { $found = '(unreadable)' }
    if ($found -ne $sha256) { Stop-Run 'checksum' "$sha256 $found" }
    $tar = Get-SystemProgram 'tar.exe'
    if ([IO.File]::Exists($tar)) { Expand-WithTar $tar $archive } else { Expand-Here $archive }
}

# Archive and folder are never named to it: what it makes of letters that aren't ASCII depends on its version.
function Expand-WithTar([string]$tar, [string]$archive) {
    $start = Get-Starter $tar '-xf -'
    $start.WorkingDirectory = $state.here
    # .NET Framework puts a byte order mark before what a program reads where the console's code page is UTF-8, as Ansible sets it.
    try { [Console]::InputEncoding = [Text.UTF8Encoding]::new($false) } catch { } # there is no console
    $process = [Diagnostics.Process]::Start($start)
    $errors = $process.StandardError.ReadToEndAsync()
    $out = $process.StandardOutput.ReadToEndAsync()
    $file = [IO.FileStream]::new($archive, 'Open', 'Read', 'Read', 65536)
    try { $file.CopyTo($process.StandardInput.BaseStream, 65536); $process.StandardInput.Close() }
    catch { } # it has ended, and has said why
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

# As a Windows program takes its command line apart: backslashes count only before a quote.
function Join-Arguments([string[]]$words) {
    $quoted = foreach ($word in $words) { '"' + ([regex]::Replace($word, '(\\*)("|$)', { param($m) $m.Groups[1].Value * 2 + $(if ($m.Groups[2].Length) { '\"' }) })) + '"' }
    $quoted -join ' '
}

function Complete-Build([string[]]$settings) { # the interpreter finishes its own installation, and shows that it starts
    $name = $state.name
    $state.step = "finishing $name"
    $tree = Join-Name $state.here 'python'
    $python = Join-Name $tree 'python.exe'
    if (-not [IO.File]::Exists($python)) { Stop-Run 'content' 'there is no python/python.exe in it' }
    $words = @('-I', '-B', '-X', 'utf8', (Join-Name $staging 'finish.py'), "tree=$tree", "root=$root", "final=$(Join-Name $root $name)", "name=$name") + $settings
    $answer = Invoke-Program $python (Join-Arguments $words)
    if ($answer.code -eq 0) { return }
    $code = 'start'
    $detail = $answer.said
    foreach ($line in $answer.out.Split("`n")) {
        if ($line.StartsWith('failure=')) { $code = $line.Substring(8).Trim() }
        if ($line.StartsWith('detail=')) { $detail = $line.Substring(7).Trim() }
    }
    if (-not $detail) { $detail = "it ended with exit code $($answer.code) and said nothing" }
    Stop-Run $code $detail
}
