# download.ps1: downloads a build's archive on the host. Sent with build.ps1 for delivery: pull.

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

function Expand-Pulled([string]$sha256) { # downloads from the first URL that answers
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
        $state.step = "unpacking $($state.name)"
        Expand-Checked $archive $sha256
        [IO.File]::Delete($archive)
        return
    }
    Stop-Run 'download' ($problems -join '; ')
}
