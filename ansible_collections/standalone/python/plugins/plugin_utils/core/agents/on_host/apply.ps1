# apply.ps1: carries out a plan on a Windows host, then prints what the host has now. Comes after observe.ps1, whose functions it uses.
#
# As apply.sh: everything new is made in root\.standalone-python.staging, checked, finished and started, before anything is changed
# that can be seen; a failure before that leaves the host as it was, and a kill leaves what the next run recognises. What is
# Windows' own here: files that a process has open can't be removed, and folders with such files can't be renamed. So each removal is tried for a while; what is
# still held then stays for the next run, and is named (held=).
#
# Set before it: what observe.ps1 wants, and $lock_timeout (seconds), $force (yes|no).
# The renderer adds the functions Get-Finisher (gives finish.py and what it needs, by name), Invoke-Prepare and Invoke-Commit (this plan's steps).

$state.step = $state.code = $state.detail = $state.made = $state.staged = $state.finisher = ''
$state.committing = 'no'
$state.restored = [Collections.ArrayList]::new()

# A query, a user and a password can be secrets.
function Hide-Secrets([string]$text) { # -> the text without these parts of the URLs in it
    [regex]::Replace($text, '([A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/?#]*@)?([^\s?#]*)(?:[?#]\S*)?', '$1$2')
}

function Stop-Run([string]$code, [string]$detail) {
    $state.code = $code
    $state.detail = Hide-Secrets $detail
    throw 'standalone-python'
}

# What .NET throws, by what a user can do about it. Numbers: winerror.h, as HRESULTs.
function Resolve-Failure($exception, [string]$otherwise) { # -> code of the failure
    $base = $exception.GetBaseException()
    if ($base.HResult -in -2147024784, -2147024857) { 'space' }
    elseif ($base -is [UnauthorizedAccessException] -or $base -is [Security.SecurityException]) { 'permission' }
    else { $otherwise }
}

function Wait-While([scriptblock]$attempt) { # tries until it doesn't throw, for about 6 seconds: virus scanners let go after a while
    foreach ($pause in 0, 50, 200, 1000, 2000, 3000) {
        if ($pause) { [Threading.Thread]::Sleep($pause) }
        try { & $attempt; return } catch { $last = $_.Exception }
    }
    throw $last
}

function Remove-Tree([string]$folder) { # -> whether all of it is gone
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

# A folder in the profile has its rights. Any other is made so that all users can use what is in it, and administrators change it, and
# has these rights from its first moment: in ProgramData it would inherit that all users may put things into it.
function New-Own([string]$path) {
    if (Test-Below $path (Get-Home)) { New-Folder $path; return }
    $list = Get-OwnList
    # .NET Framework and .NET have this under different names; the linter knows the former's only.
    $extensions = 'System.IO.FileSystemAclExtensions' -as [type]
    if ($extensions) { [void]$extensions::CreateDirectory($list, $path) } else { [void][IO.Directory]::CreateDirectory($path, $list) }
}

function Get-OwnList { # -> its list: who may do what
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

function Assert-Unexposed([string]$folder) { # what is written there must be this user's and administrators' alone
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

function New-Staging { # what it holds is started: one that is there may have been made by somebody else, while the root was open
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
            # The run that made the root has failed, and took it away again.
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
    # A run of an older version has it under another name. What it left is a file that nobody has open.
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

function Exit-Run { # also where the run failed: back to what was, as far as that is ours
    if ($state.lock) {
        if ($state.staged) {
            Restore-Builds $staging
            if (-not (Remove-Tree $staging) -and -not $state.held.Contains($staging)) { [void]$state.held.Add($staging) }
        }
        # Before it is closed: then nobody can open it in between, and not every system removes it by itself.
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

function Restore-Builds([string]$from) { # one whose exchange was not completed goes back to its place
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

function Find-Obstacles { # under the names of what a run makes, if it isn't what a run makes
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

function Test-Seen([string]$at, [string]$kind, [string]$text) { # is that what the plan was made for? AT: a path, or a build's name
    $path = Join-Name $root $at
    $is = $false
    switch ($kind) {
        # A build that this run has just put back to its place was not there when the plan was made.
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
        folder { $is = [IO.Directory]::Exists($path) -and -not (Use-Junction 'is' $path) -and -not [IO.Directory]::Exists((Join-Name $path '.standalone-python')) }
    }
    if (-not $is) { $state.differs = $path }
    $is
}

function Get-Mark([string]$folder) { # -> the lines of its receipt that tell this installation from another one, as observed.py takes them
    try { $lines = (Read-Text (Join-Name $folder '.standalone-python/receipt.json')).Split("`n") } catch { return '' }
    $marking = foreach ($line in $lines) {
        foreach ($start in ' "installed_at": ', ' "files_sha256": ', ' "started": ') {
            if ($line.StartsWith($start, [StringComparison]::Ordinal)) { $line.TrimEnd("`r") }
        }
    }
    $marking -join ''
}

# Between this and the step that follows somebody can still change the path.
function Assert-Still([string]$at, [string]$kind, [string]$text) {
    if (-not (Test-Seen $at $kind $text)) { Stop-Run 'changed' $state.differs }
}

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

function Expand-Pushed([string]$archive, [string]$sha256, [long]$kilobytes) { # an archive that the controller sent
    $state.step = "unpacking $($state.name)"
    Assert-Space $kilobytes
    Expand-Checked $archive $sha256
    [IO.File]::Delete($archive)
    try { [IO.Directory]::Delete([IO.Path]::GetDirectoryName($archive), $false) } catch { } # if it was the last one
}

# .NET Framework knows no proxies of the environment, and PowerShell 5.1 asks for no TLS 1.2 by itself.
function Get-Proxy([Uri]$address) { # -> the proxy that the environment names; nothing for the system's own settings
    foreach ($name in ([string][Environment]::GetEnvironmentVariable('no_proxy')).Split(',')) {
        $name = $name.Trim().TrimStart('.')
        if ($name -and ($name -eq '*' -or $address.Host -eq $name -or $address.Host.EndsWith(".$name", [StringComparison]::OrdinalIgnoreCase))) {
            return [Net.WebProxy]::new()
        }
    }
    foreach ($variable in "$($address.Scheme)_proxy", 'all_proxy') {
        $value = [Environment]::GetEnvironmentVariable($variable)
        if ($value) {
            if ($value -notmatch '://') { $value = "http://$value" }
            $at = ConvertTo-Address $value "the proxy in $variable"
            $proxy = [Net.WebProxy]::new([Uri]"$($at.Scheme)://$($at.Authority)")
            if ($at.UserInfo) { $proxy.Credentials = Get-Login $at }
            return $proxy
        }
    }
}

function Get-Login([Uri]$address) {
    $name, $word = $address.UserInfo.Split(':', 2)
    [Net.NetworkCredential]::new([Uri]::UnescapeDataString($name), [Uri]::UnescapeDataString([string]$word))
}

# What .NET says of a text that is no address quotes it, with the password that may be in it.
function ConvertTo-Address([string]$text, [string]$what) {
    $address = $null
    if (-not [Uri]::TryCreate($text, [UriKind]'Absolute', [ref]$address)) { throw [IO.IOException]::new("$what is not a valid URL") }
    $address
}

# Redirects are followed here: .NET Framework would go from https to http, and a login is for the first server only.
function Save-Url([string]$url, [string]$path) {
    # 0 is what the system has, which is at least that.
    $protocols = [Net.ServicePointManager]::SecurityProtocol
    if ([int]$protocols) { [Net.ServicePointManager]::SecurityProtocol = $protocols -bor [Net.SecurityProtocolType]::Tls12 }
    $address = $first = ConvertTo-Address $url 'the address'
    for ($count = 0; $count -le 10; $count++) {
        $login = if ($address.Scheme -eq $first.Scheme -and $address.Authority -eq $first.Authority) { Get-Authorization $first }
        $answer = Get-Answer $address $login
        try {
            if ([int]$answer.StatusCode -lt 300) {
                $file = [IO.FileStream]::new($path, 'Create', 'Write', 'None', 65536)
                try { $answer.GetResponseStream().CopyTo($file, 65536) } finally { $file.Dispose() }
                return
            }
            $to = [Uri]::new($address, [string]$answer.Headers['Location'])
        } finally { $answer.Dispose() }
        if (@($address.Scheme, 'https') -notcontains $to.Scheme) {
            throw [IO.IOException]::new("the server redirects from $($address.Scheme) to $($to.Scheme), which is refused")
        }
        $address = $to
    }
    throw [IO.IOException]::new('the server redirects more than 10 times')
}

function Get-Authorization([Uri]$address) { # -> the header that a token or the user in the address makes; nothing without both
    if ($secrets['token']) { return "Bearer $($secrets['token'] -join '')" }
    if (-not $address.UserInfo) { return }
    $login = Get-Login $address
    'Basic ' + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes("$($login.UserName):$($login.Password)"))
}

function Get-Answer([Uri]$address, [string]$login) { # -> the server's, a redirect included
    $request = [Net.WebRequest]::Create($address)
    $request.AllowAutoRedirect = $false
    $proxy = Get-Proxy $address
    if ($proxy) { $request.Proxy = $proxy }
    elseif ($request.Proxy) { $request.Proxy.Credentials = [Net.CredentialCache]::DefaultCredentials }
    $request.Timeout = $request.ReadWriteTimeout = 60000
    $request.UserAgent = 'standalone-python'
    if ($login) { $request.Headers['Authorization'] = $login }
    $request.GetResponse()
}

function Expand-Pulled([string]$sha256) { # from the first of its URLs that answers
    $archive = Join-Name $state.here 'archive'
    $problems = @()
    foreach ($url in $secrets["url $($state.name)"]) {
        if (-not $url) { continue }
        $state.step = "downloading $($state.name)"
        try { Save-Url $url $archive }
        catch {
            $problem = $_.Exception.GetBaseException()
            if ((Resolve-Failure $problem 'download') -eq 'space') { throw }
            $problems += ((Hide-Secrets $url) -replace '^[^:]*://', '') + ': ' + $problem.Message
            continue
        }
        Expand-Checked $archive $sha256
        [IO.File]::Delete($archive)
        return
    }
    Stop-Run 'download' ($problems -join '; ')
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

function Assert-Link([string]$path, [string]$to) { # a link of ours, or nothing, must be there; and one can be made
    $state.step = "checking $path"
    $folder = [IO.Path]::GetDirectoryName($path)
    if ($folder -ne $root) {
        Assert-Unexposed $folder
        [void](Get-LauncherText $folder $to)
    }
    if (-not (Test-There $path)) { return }
    if ($folder -eq $root) {
        if (Use-Junction 'is' $path) {
            if ($force -eq 'yes' -or [IO.File]::Exists((Join-Name $path '.standalone-python/receipt.json'))) { return }
            Stop-Run 'foreign' "$path leads to nothing of ours"
        }
    } elseif ($was = Get-Launched $path) {
        if ($force -eq 'yes' -or $was.StartsWith((ConvertTo-Slashes $root) + '/', [StringComparison]::OrdinalIgnoreCase)) { return }
        Stop-Run 'foreign' "$path starts $was"
    }
    if ($force -ne 'yes' -or [IO.Directory]::Exists($path)) { Stop-Run 'foreign' $path }
}

function Assert-Registry { # may this user write there?
    $state.step = 'opening the registry'
    $hive = if ((Get-Scope) -eq 'machine') { [Microsoft.Win32.Registry]::LocalMachine } else { [Microsoft.Win32.Registry]::CurrentUser }
    $hive.OpenSubKey('Software', $true).Dispose()
}

# A junction can't be renamed over another. The moment between the two steps is the only one in which a stable link leads nowhere; a
# run that dies in it leaves the new one under its temporary name, and the next run makes it anew.
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

# cmd reads it in whatever code page its console has, so it is ASCII: other letters come from variables, which have them right.
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

function Clear-Link([string]$path) {
    $state.step = "removing $path"
    Wait-While { Remove-Link $path }
    $state.committing = 'yes'
}

function Complete-Rename([string]$name) { # the build gets its name; what has it makes room
    $state.step = "renaming $name"
    $place = Join-Name $root $name
    if (Test-There $place) {
        $old = Join-Name (Join-Name $staging $name) 'old'
        New-Folder ([IO.Path]::GetDirectoryName($old))
        try { Wait-While { if ([IO.Directory]::Exists($place)) { [IO.Directory]::Move($place, $old) } else { [IO.File]::Move($place, $old) } } }
        catch { Stop-Run 'held' $place }
    }
    Wait-While { [IO.Directory]::Move((Join-Name $state.places[$name] 'python'), $place) }
    $state.committing = 'yes'
}

function Remove-Build([string]$name) { # out of its place first, so that no half of it is ever found there
    $state.step = "removing $name"
    $place = Join-Name $root $name
    if (-not [IO.Directory]::Exists($place)) { return }
    $away = Join-Name (Join-Name $staging $name) 'removed'
    while (Test-There $away) { $away += '_' }
    New-Folder ([IO.Path]::GetDirectoryName($away))
    try { Wait-While { [IO.Directory]::Move($place, $away) } } catch { [void]$state.held.Add($place); return }
    $state.committing = 'yes'
}

function Register-Line([string]$tag, [string]$version, [string]$bits, [string]$python) { # PEP 514
    $state.step = "registering $tag"
    $company = Open-Registry 'Software\Python\StandalonePython' $true
    $company.SetValue('DisplayName', 'standalone-python')
    $company.SetValue('SupportUrl', 'https://github.com/astral-sh/python-build-standalone')
    $entry = $company.CreateSubKey($tag)
    $entry.SetValue('DisplayName', "Python $version ($($bits.Replace('bit', '-bit')), standalone-python)")
    $entry.SetValue('SysArchitecture', $bits)
    $entry.SetValue('SysVersion', ($tag -replace '[^0-9.].*$', ''))
    $entry.SetValue('Version', $version)
    $place = $entry.CreateSubKey('InstallPath')
    $folder = [IO.Path]::GetDirectoryName($python)
    $place.SetValue('', "$folder\")
    $place.SetValue('ExecutablePath', $python)
    $windowed = Join-Name $folder 'pythonw.exe'
    if ([IO.File]::Exists($windowed)) { $place.SetValue('WindowedExecutablePath', $windowed) }
    else { $place.DeleteValue('WindowedExecutablePath', $false) }
    $state.committing = 'yes'
}

function Unregister-Line([string]$tag) { # and what is empty then
    $state.step = "unregistering $tag"
    $python = Open-Registry 'Software\Python' $true
    $company = $python.CreateSubKey('StandalonePython')
    $company.DeleteSubKeyTree($tag, $false)
    if ($company.SubKeyCount -eq 0) { $python.DeleteSubKeyTree('StandalonePython', $false) }
    if ($python.SubKeyCount -eq 0 -and $python.ValueCount -eq 0) { (Open-Registry 'Software' $true).DeleteSubKey('Python', $false) }
    $state.committing = 'yes'
}

# As it is written there, variables and all. Its last act tells running programs: .NET does that for any variable, this one is none.
function Set-SearchPath([string]$folder, [bool]$there) {
    $state.step = 'changing the PATH'
    $mark = Join-Name $root '.standalone-python-path'
    $key = Open-Registry (Get-PathKey) $true
    $kind = [Microsoft.Win32.RegistryValueKind]::ExpandString
    if ($key.GetValueNames() -contains 'Path') { $kind = $key.GetValueKind('Path') }
    $folders = @(foreach ($one in ([string]$key.GetValue('Path', '', 'DoNotExpandEnvironmentNames')).Split(';')) {
        if ($one -and $one.Trim().TrimEnd('\') -ne $folder) { $one }
    })
    if ($there) {
        $folders += $folder
        [IO.File]::WriteAllText($mark, $folder)
    }
    $key.SetValue('Path', ($folders -join ';'), $kind)
    if (-not $there) { [IO.File]::Delete($mark) }
    $target = if ((Get-Scope) -eq 'machine') { 'Machine' } else { 'User' }
    [Environment]::SetEnvironmentVariable('STANDALONE_PYTHON_CHANGED', [NullString]::Value, $target)
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
        # Another run may have done it while this one waited for the lock. What is left to do is decided anew.
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
