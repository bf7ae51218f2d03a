# download.ps1: downloads a build's archive or its delta on the host. Sent with build.ps1 for delivery: pull.

# .NET Framework ignores proxies in the environment.
function Get-Proxy([Uri]$address) { # -> the proxy in the environment; nothing for the system's settings
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

# The message of .NET would quote the text, which may contain a password.
function ConvertTo-Address([string]$text, [string]$what) {
    $address = $null
    if (-not [Uri]::TryCreate($text, [UriKind]'Absolute', [ref]$address)) { throw [IO.IOException]::new("$what is not a valid URL") }
    $address
}

# .NET Framework follows redirects from https to http, and a login is only for the first server: so redirects are followed here.
function Save-Url([string]$url, [string]$path) {
    # PowerShell 5.1 does not enable TLS 1.2 by itself. 0 stands for the system's default, which has it.
    $protocols = [Net.ServicePointManager]::SecurityProtocol
    if ([int]$protocols) { [Net.ServicePointManager]::SecurityProtocol = $protocols -bor [Net.SecurityProtocolType]::Tls12 }
    $address = $first = ConvertTo-Address $url 'the address'
    for ($count = 0; $count -le 10; $count++) {
        $login = if ($address.Scheme -eq $first.Scheme -and $address.Authority -eq $first.Authority) { Get-Authorization $first }
        $answer = Get-Answer $address $login
        try {
            if ([int]$answer.StatusCode -lt 300) { Save-Body $answer $path; return }
            $to = [Uri]::new($address, [string]$answer.Headers['Location'])
        } finally { $answer.Dispose() }
        if (@($address.Scheme, 'https') -notcontains $to.Scheme) {
            throw [IO.IOException]::new("the server redirects from $($address.Scheme) to $($to.Scheme), which is refused")
        }
        $address = $to
    }
    throw [IO.IOException]::new('the server redirects more than 10 times')
}

# .NET Framework may not report that a connection was closed too early.
function Save-Body($answer, [string]$path) {
    $body = $answer.GetResponseStream()
    $buffer = [byte[]]::new(65536)
    $missing = $answer.ContentLength
    $file = [IO.FileStream]::new($path, 'Create', 'Write', 'None', 65536)
    try {
        while ($true) {
            try { $count = $body.Read($buffer, 0, $buffer.Length) }
            catch {
                throw [Net.WebException]::new('the connection broke off', $_.Exception, [Net.WebExceptionStatus]::ReceiveFailure, $null)
            }
            if ($count -eq 0) { break }
            $file.Write($buffer, 0, $count)
            $missing -= $count
        }
    } finally { $file.Dispose() }
    if ($missing -gt 0) { throw [Net.WebException]::new('the connection broke off', [Net.WebExceptionStatus]::ConnectionClosed) }
}

function Get-Authorization([Uri]$address) { # -> the header for the token or the user in the address; nothing without them
    if ($secrets['token']) { return "Bearer $($secrets['token'] -join '')" }
    if (-not $address.UserInfo) { return }
    $login = Get-Login $address
    'Basic ' + [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes("$($login.UserName):$($login.Password)"))
}

function Get-Answer([Uri]$address, [string]$login) { # -> the server's response; redirects are not followed
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

# A busy mirror refuses or resets connections, or answers 429 or 503. Other failures can't pass by themselves.
function Get-Delay($exception) { # -> the seconds that the server asks to wait, or 0; nothing if the failure can't pass
    $delay = $null
    for ($at = $exception; $at; $at = $at.InnerException) {
        if ($at -is [Security.Authentication.AuthenticationException]) { return }
        if ($at -is [Net.Sockets.SocketException] -and $at.SocketErrorCode -in 'HostNotFound', 'TryAgain', 'NoRecovery', 'NoData') { return }
        if ($at -isnot [Net.WebException]) { continue }
        if ($at.Status -in 'NameResolutionFailure', 'ProxyNameResolutionFailure', 'TrustFailure', 'SecureChannelFailure') { return }
        $delay = 0
        if (-not $at.Response) { continue }
        $status = [int]$at.Response.StatusCode
        $asked = [string]$at.Response.Headers['Retry-After']
        # .NET Framework keeps at most two connections to a server.
        $at.Response.Dispose()
        if ($status -notin 408, 425, 429 -and ($status -lt 500 -or $status -gt 599)) { return }
        if ($asked -match '^\s*(\d{1,4})\d*\s*$') { $delay = [int]$Matches[1] }
    }
    $delay
}

function Wait-Milliseconds([int]$count) { [Threading.Thread]::Sleep($count) }

# Half to one and a half times as long, so that hosts that were refused together come back one by one.
function Wait-Turn([int]$seconds, [int]$asked) {
    $share = 0.5 + [Random]::new([Guid]::NewGuid().GetHashCode()).NextDouble()
    Wait-Milliseconds (1000 * ($asked + $seconds * $share))
}

function Save-First([string]$path) { # downloads from the first URL that answers
    $state.step = "downloading $($state.name)"
    $urls = $secrets["url $($state.name)"]
    $final = @()
    # As download.sh: about a minute.
    foreach ($seconds in 2, 4, 8, 16, 32, 0) {
        $problems = $again = @()
        $asked = [int]::MaxValue
        foreach ($url in $urls) {
            if (-not $url) { continue }
            try { Save-Url $url $path; return }
            catch {
                $problem = $_.Exception.GetBaseException()
                if ((Resolve-Failure $problem 'download') -eq 'space') { throw }
                $text = ((Hide-Secrets $url) -replace '^[^:]*://', '') + ': ' + $problem.Message
                $delay = Get-Delay $_.Exception
                if ($null -eq $delay) { $final += $text; continue }
                $problems += $text
                $again += $url
                $asked = [Math]::Min($asked, $delay)
            }
        }
        $urls = $again
        # A server that asks for more than a minute is not waited for, as other runs wait for the lock.
        if (-not $urls -or -not $seconds -or $asked -gt 60) { break }
        Wait-Turn $seconds $asked
    }
    Stop-Run 'download' (($final + $problems) -join '; ')
}

function Expand-Pulled([string]$sha256) {
    $archive = Join-Name $state.here 'archive'
    Save-First $archive
    $state.step = "unpacking $($state.name)"
    Expand-Checked $archive $sha256
    [IO.File]::Delete($archive)
}
