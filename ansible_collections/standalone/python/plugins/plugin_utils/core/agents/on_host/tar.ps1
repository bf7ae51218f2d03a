# tar.ps1: unpacks a .tar.gz or a .tar on a Windows that has no tar.exe. Sent with build.ps1.

function Read-Unpacked($tar, [int]$count) { # fills the buffer with COUNT bytes; throws at the end of the archive
    $got = 0
    while ($got -lt $count) {
        $read = $tar.inflater.Read($tar.buffer, $got, $count - $got)
        if ($read -eq 0) { throw [IO.InvalidDataException]::new('the archive ends in the middle') }
        $got += $read
    }
    $tar.unpacked += $count
}

# GZipStream does not report a missing end. The last four bytes of a .gz are the length of its content.
function Skip-Rest($tar) { # reads to the end; throws if that is missing
    while ($read = $tar.inflater.Read($tar.buffer, 0, $tar.buffer.Length)) { $tar.unpacked += $read }
    if (-not $tar.packed) { return }
    $tar.file.Position = $tar.file.Length - 4
    [void]$tar.file.Read($tar.buffer, 0, 4)
    if ([BitConverter]::ToUInt32($tar.buffer, 0) -ne $tar.unpacked % 4294967296) { throw [IO.InvalidDataException]::new('the archive ends in the middle') }
}

function Read-Field($tar, [int]$at, [int]$size) { # -> a text in a header, up to its NUL
    $end = [Array]::IndexOf($tar.buffer, [byte]0, $at, $size)
    [Text.Encoding]::UTF8.GetString($tar.buffer, $at, $(if ($end -lt 0) { $size } else { $end - $at }))
}

function Read-Long($tar, [long]$size) { # -> the content of a member that extends the next header
    if ($size -gt 65536) { throw [IO.InvalidDataException]::new('the archive has a header that is too long') }
    Read-Unpacked $tar ([int][Math]::Ceiling($size / 512) * 512)
    [Text.Encoding]::UTF8.GetString($tar.buffer, 0, [int]$size)
}

function Assert-Name([string]$name) { # fails on a name that another path or device could have on Windows
    $bad = '[\x00-\x1f<>:"|?*\\]|(^|/)(\.{0,2}|[^/]*[. ]|(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.[^/]*)?)(/|$)'
    if ($name -match $bad -or $name -notmatch '^python(/|$)') { Stop-Run 'content' "it has the member $name" }
    $path = $state.here.Length + 1 + $name.Length
    # The final path is shorter by the staging folder, but Python starts here first.
    if ($path -ge 260) { Stop-Run 'unpack' "one of its paths would have $path letters, and Windows takes 259: choose a shorter root" }
}

function Expand-Here([string]$archive) {
    $tar = @{ unpacked = [long]0; buffer = [byte[]]::new(65536); packed = -not $archive.EndsWith('.tar') }
    $tar.file = [IO.FileStream]::new($archive, 'Open', 'Read', 'Read', 65536)
    $tar.inflater = if ($tar.packed) { [IO.Compression.GZipStream]::new($tar.file, [IO.Compression.CompressionMode]::Decompress) } else { $tar.file }
    $folders = [Collections.Generic.HashSet[string]]::new()
    $long = ''
    try {
        while ($true) {
            Read-Unpacked $tar 512
            if ($tar.buffer[0] -eq 0) { Skip-Rest $tar; break }
            $kind = [char]$tar.buffer[156]
            $name = Read-Field $tar 0 100
            if ((Read-Field $tar 257 5) -eq 'ustar' -and $tar.buffer[262] -eq 0 -and $tar.buffer[345]) { $name = (Read-Field $tar 345 155) + '/' + $name }
            $size = [Convert]::ToInt64((Read-Field $tar 124 12).Trim(' ').PadLeft(1, '0'), 8)
            $time = [Convert]::ToInt64((Read-Field $tar 136 12).Trim(' ').PadLeft(1, '0'), 8)
            if ($kind -eq 'L') { $long = (Read-Long $tar $size).TrimEnd([char]0); continue }
            if ($kind -eq 'x') {
                if ((Read-Long $tar $size) -match '(?m)^\d+ path=(.*)$') { $long = $Matches[1] }
                continue
            }
            if ($kind -eq 'g') { [void](Read-Long $tar $size); continue }
            if ($long) { $name = $long; $long = '' }
            $name = $name.TrimEnd('/')
            Assert-Name $name
            $path = Join-Name $state.here $name.Replace('/', [IO.Path]::DirectorySeparatorChar)
            if ($kind -eq '5') { if ($folders.Add($path)) { New-Folder $path }; continue }
            if ($kind -ne '0' -and $kind -ne [char]0) { Stop-Run 'content' "the member $name is neither a file nor a folder" }
            $parent = [IO.Path]::GetDirectoryName($path)
            if ($folders.Add($parent)) { New-Folder $parent }
            $file = [IO.FileStream]::new($path, 'Create', 'Write', 'None', 4096)
            try {
                while ($size -gt 0) {
                    # Files end with padding to a whole block.
                    $part = [int][Math]::Min($size, 65536)
                    Read-Unpacked $tar ([int][Math]::Ceiling($part / 512) * 512)
                    $file.Write($tar.buffer, 0, $part)
                    $size -= $part
                }
            } finally { $file.Dispose() }
            [IO.File]::SetLastWriteTimeUtc($path, [DateTime]::new(1970, 1, 1, 0, 0, 0, [DateTimeKind]::Utc).AddSeconds($time))
        }
    } catch [IO.InvalidDataException] { Stop-Run 'unpack' $_.Exception.GetBaseException().Message }
    catch [FormatException] { Stop-Run 'unpack' 'the archive has an invalid header' }
    finally { $tar.inflater.Dispose() }
}
