# tar.ps1: unpacks a .tar.gz on a Windows that has no tar.exe. Sent with build.ps1.

# A .tar.gz without tar.exe. A payload has two gzip members, and .NET Framework's GZipStream ends with the first: so each is inflated
# by itself. Where one ends is not told, as the inflater reads ahead; it is where the member's length stands that has been unpacked.
function Open-Member($tar) { # -> whether there is another member
    if ($tar.inflater) {
        $tar.inflater.Dispose()
        $tar.inflater = $null
        $from = [Math]::Max($tar.start, $tar.file.Position - 65536)
        $tar.file.Position = $from
        $window = [byte[]]::new([Math]::Min(131072, $tar.file.Length - $from))
        $size = 0
        while ($size -lt $window.Length) {
            $got = $tar.file.Read($window, $size, $window.Length - $size)
            if (-not $got) { break }
            $size += $got
        }
        $length = [BitConverter]::GetBytes([uint32]($tar.unpacked % 4294967296))
        $at = 3
        while ($true) {
            $at = [Array]::IndexOf($window, $length[0], $at + 1)
            if ($at -lt 0 -or $at + 4 -gt $size) { throw [IO.InvalidDataException]::new('the archive ends in the middle') }
            if ($window[$at + 1] -ne $length[1] -or $window[$at + 2] -ne $length[2] -or $window[$at + 3] -ne $length[3]) { continue }
            if ($from + $at + 4 -eq $tar.file.Length) { return $false }
            if ($at + 6 -lt $size -and $window[$at + 4] -eq 31 -and $window[$at + 5] -eq 139 -and $window[$at + 6] -eq 8) { break }
        }
        $tar.start = $from + $at + 4
    }
    $tar.file.Position = $tar.start
    $header = [byte[]]::new(10)
    if ($tar.file.Read($header, 0, 10) -ne 10 -or $header[0] -ne 31 -or $header[1] -ne 139 -or $header[2] -ne 8) {
        throw [IO.InvalidDataException]::new('the archive is not compressed with gzip')
    }
    if ($header[3] -band 4) { $extra = $tar.file.ReadByte() + 256 * $tar.file.ReadByte(); $tar.file.Position += $extra }
    foreach ($text in 8, 16) { if ($header[3] -band $text) { while ($tar.file.ReadByte() -gt 0) { } } }
    if ($header[3] -band 2) { $tar.file.Position += 2 }
    $tar.start = $tar.file.Position
    $tar.unpacked = 0
    $tar.inflater = [IO.Compression.DeflateStream]::new($tar.file, [IO.Compression.CompressionMode]::Decompress, $true)
    $true
}

function Read-Unpacked($tar, [int]$count) { # into the buffer; throws where there is less
    $got = 0
    while ($got -lt $count) {
        $read = $tar.inflater.Read($tar.buffer, $got, $count - $got)
        if ($read -eq 0) {
            if (Open-Member $tar) { continue }
            throw [IO.InvalidDataException]::new('the archive ends in the middle')
        }
        $got += $read
        $tar.unpacked += $read
    }
}

function Skip-Rest($tar) { # up to the true end, or one that is missing shows
    do {
        $read = $tar.inflater.Read($tar.buffer, 0, $tar.buffer.Length)
        $tar.unpacked += $read
    } while ($read -gt 0 -or (Open-Member $tar))
}

function Read-Field($tar, [int]$at, [int]$size) { # -> a text of a header, up to its NUL
    $end = [Array]::IndexOf($tar.buffer, [byte]0, $at, $size)
    [Text.Encoding]::UTF8.GetString($tar.buffer, $at, $(if ($end -lt 0) { $size } else { $end - $at }))
}

function Read-Long($tar, [long]$size) { # -> what a member says that is the header of another
    if ($size -gt 65536) { throw [IO.InvalidDataException]::new('the archive has a header that is too long') }
    Read-Unpacked $tar ([int][Math]::Ceiling($size / 512) * 512)
    [Text.Encoding]::UTF8.GetString($tar.buffer, 0, [int]$size)
}

function Assert-Name([string]$name) { # one that lands where it says, in every Windows
    $bad = '[\x00-\x1f<>:"|?*\\]|(^|/)(\.{0,2}|[^/]*[. ]|(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.[^/]*)?)(/|$)'
    if ($name -match $bad -or $name -notmatch '^python(/|$)') { Stop-Run 'content' "it has the member $name" }
    $path = $state.here.Length + 1 + $name.Length
    # In its own place the path is shorter, as the folder's name is there twice less; Python itself needs it below the limit.
    if ($path -ge 260) { Stop-Run 'unpack' "a path of it would have $path letters, more than the 259 that Windows takes: choose a shorter root" }
}

function Expand-Here([string]$archive) {
    $tar = @{ start = 0; inflater = $null; unpacked = 0; buffer = [byte[]]::new(65536) }
    $tar.file = [IO.FileStream]::new($archive, 'Open', 'Read', 'Read', 65536)
    $folders = [Collections.Generic.HashSet[string]]::new()
    $long = ''
    try {
        [void](Open-Member $tar)
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
                    # The last piece with what fills it up to whole blocks.
                    $part = [int][Math]::Min($size, 65536)
                    Read-Unpacked $tar ([int][Math]::Ceiling($part / 512) * 512)
                    $file.Write($tar.buffer, 0, $part)
                    $size -= $part
                }
            } finally { $file.Dispose() }
            [IO.File]::SetLastWriteTimeUtc($path, [DateTime]::new(1970, 1, 1, 0, 0, 0, [DateTimeKind]::Utc).AddSeconds($time))
        }
    } catch [IO.InvalidDataException] { Stop-Run 'unpack' $_.Exception.GetBaseException().Message }
    catch [FormatException] { Stop-Run 'unpack' 'the archive has a header that is none' }
    finally {
        if ($tar.inflater) { $tar.inflater.Dispose() }
        $tar.file.Dispose()
    }
}
