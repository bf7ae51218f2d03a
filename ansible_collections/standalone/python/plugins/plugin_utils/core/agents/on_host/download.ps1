# download.ps1: the host downloads a build's archive itself. Sent with build.ps1 for delivery: pull.

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
