# remember.ps1: records what a full check of builds found, as remember.sh does. It is a script of its own.
#
# Set before it: $root. The renderer adds the function Write-Records (calls of Write-Record).

function Write-Record([string]$name, [string]$line) {
    $new = [IO.Path]::Combine($checks, '.new')
    $path = [IO.Path]::Combine($checks, $name)
    [IO.File]::WriteAllText($new, "$line`n")
    if ([IO.File]::Exists($path)) { [IO.File]::Replace($new, $path, [NullString]::Value) } else { [IO.File]::Move($new, $path) }
}

function Invoke-Remembering {
    $checks = [IO.Path]::Combine($root.Replace('/', [string][IO.Path]::DirectorySeparatorChar), '.standalone-python.checked')
    try {
        [void][IO.Directory]::CreateDirectory($checks)
        if ([int][IO.File]::GetAttributes($checks) -band [int][IO.FileAttributes]::ReparsePoint) { throw "$checks is a junction or a link" }
        Write-Records
        '== standalone-python remembered =='
    } catch { $_.Exception.GetBaseException().Message }
}
