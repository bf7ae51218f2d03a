# facts.ps1: prints what kind of host it is. Sent if $facts isn't no, with disk.ps1.

# Read from the machine's environment, as this may be a 32-bit process, or an emulated one on arm64.
function Get-Architecture {
    $found = ''
    try {
        $key = [Microsoft.Win32.Registry]::LocalMachine.OpenSubKey('SYSTEM\CurrentControlSet\Control\Session Manager\Environment')
        $found = [string]$key.GetValue('PROCESSOR_ARCHITECTURE')
    } catch { }
    foreach ($name in 'PROCESSOR_ARCHITEW6432', 'PROCESSOR_ARCHITECTURE') {
        if (-not $found) { $found = [Environment]::GetEnvironmentVariable($name) }
    }
    $found
}

function Write-Facts {
    Write-Pair 'os' 'Windows_NT'
    Write-Pair 'os_version' ([Environment]::OSVersion.Version.ToString(3))
    Write-Pair 'arch' (Get-Architecture)
    Write-Pair 'tools' $(if ([IO.File]::Exists((Get-SystemProgram 'tar.exe'))) { 'tar' } else { '' })
    $free = Get-FreeKb (Get-Existing $root)
    if ($null -ne $free) { Write-Pair 'free_kb' $free }
}
