# registry.ps1: changes the registry's entries for interpreters (PEP 514) and the PATH. Sent if a plan has such steps.

function Assert-Registry { # fails if this user may not write there
    $state.step = 'opening the registry'
    $hive = if ((Get-Scope) -eq 'machine') { [Microsoft.Win32.Registry]::LocalMachine } else { [Microsoft.Win32.Registry]::CurrentUser }
    $hive.OpenSubKey('Software', $true).Dispose()
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

function Unregister-Line([string]$tag) { # also removes keys that are empty then
    $state.step = "unregistering $tag"
    $python = Open-Registry 'Software\Python' $true
    $company = $python.CreateSubKey('StandalonePython')
    $company.DeleteSubKeyTree($tag, $false)
    if ($company.SubKeyCount -eq 0) { $python.DeleteSubKeyTree('StandalonePython', $false) }
    if ($python.SubKeyCount -eq 0 -and $python.ValueCount -eq 0) { (Open-Registry 'Software' $true).DeleteSubKey('Python', $false) }
    $state.committing = 'yes'
}

# Keeps variables in the PATH as they are written. Last, removing a variable that does not exist makes .NET notify running programs.
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
