# Copyright: standalone-python contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Runs what plugin_utils/host.py otherwise gives to a host's PowerShell: COMMAND gets the lines of GIVEN as its $input, as if they had
# come by standard input. The language and .NET only, as in the agents; so free text goes as base64, and nothing has to be escaped.
function Invoke-Agent([string]$command, [string]$given) { # -> code, output and errors, as JSON
    $code, $output, $errors = 0, '', ''
    try { $output = ($given.Split("`n") | & ([ScriptBlock]::Create($command))) -join "`n" }
    catch { $code, $errors = 1, $_.Exception.GetBaseException().Message }
    $encoded = foreach ($text in $output, $errors) { [Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($text)) }
    '{"changed": false, "code": ' + $code + ', "output": "' + $encoded[0] + '", "errors": "' + $encoded[1] + '"}'
}
