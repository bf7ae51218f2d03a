# disk.ps1: computes checksums and free space. Sent with verify=full, facts.ps1 and apply.ps1.

function Get-Sha256([string]$path) {
    $stream = [IO.FileStream]::new($path, 'Open', 'Read', 'ReadWrite, Delete')
    $algorithm = [Security.Cryptography.SHA256]::Create()
    try { [BitConverter]::ToString($algorithm.ComputeHash($stream)).Replace('-', '').ToLowerInvariant() }
    finally { $algorithm.Dispose(); $stream.Dispose() }
}

function Get-FreeKb([string]$folder) { # -> free kilobytes; nothing if unknown
    try { [long][Math]::Floor([IO.DriveInfo]::new([IO.Path]::GetPathRoot($folder)).AvailableFreeSpace / 1024) } catch { }
}

function Compare-Build([string]$folder) { # compares each file with the list, and prints additional modules
    $list = Join-Name $folder '.standalone-python/files.sha256'
    if (-not [IO.File]::Exists($list)) { Write-Pair 'damaged' '.standalone-python/files.sha256'; return }
    $known = [Collections.Generic.HashSet[string]]::new([StringComparer]::OrdinalIgnoreCase)
    foreach ($line in (Read-Text $list).Split("`n")) {
        if ($line.Length -lt 67) { continue }
        $path = $line.Substring(66)
        [void]$known.Add($path)
        try { $found = Get-Sha256 (Join-Name $folder $path) } catch { $found = '' }
        if ($found -ne $line.Substring(0, 64)) { Write-Pair 'damaged' $path }
    }
    $library = Join-Name $folder 'Lib'
    if ([IO.Directory]::Exists($library)) {
        foreach ($file in [IO.Directory]::GetFiles($library, '*.py', 'AllDirectories')) {
            $path = ConvertTo-Slashes $file.Substring($folder.Length + 1)
            if ($path -notmatch '/(__pycache__|site-packages)/' -and -not $known.Contains($path)) { Write-Pair 'extra' $path }
        }
    }
    Write-Pair 'list' (Get-Sha256 $list)
}
