# Stands for the function of observe.ps1 where there are no junctions, as under Wine: a copy of the folder, with a mark in it.
function Use-Junction([string]$do, [string]$path, [string]$to) {
    $mark = [IO.Path]::Combine($path, '.standalone-python', 'stands-for-a-junction')
    switch ($do) {
        is { [IO.File]::Exists($mark) }
        make {
            if (-not [IO.Directory]::Exists($to)) { throw [IO.IOException]::new("$to is not there") }
            foreach ($folder in @($to) + [IO.Directory]::GetDirectories($to, '*', 'AllDirectories')) {
                [void][IO.Directory]::CreateDirectory($path + $folder.Substring($to.Length))
            }
            foreach ($file in [IO.Directory]::GetFiles($to, '*', 'AllDirectories')) {
                [IO.File]::Copy($file, $path + $file.Substring($to.Length))
            }
            [void][IO.Directory]::CreateDirectory([IO.Path]::GetDirectoryName($mark))
            [IO.File]::WriteAllText($mark, '')
        }
        remove { [IO.Directory]::Delete($path, $true) }
    }
}
