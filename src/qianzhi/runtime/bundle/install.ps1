# Installs qianzhi from this folder alone; nothing is fetched from anywhere.
#   powershell -ExecutionPolicy Bypass -File install.ps1 [-Target FOLDER] [-Python python.exe]
param(
    [string]$Target = (Join-Path $env:ProgramFiles "qianzhi"),
    [string]$Python = ""
)
$ErrorActionPreference = "Stop"
Set-Location -LiteralPath $PSScriptRoot

foreach ($line in Get-Content -LiteralPath "SHA256SUMS" -Encoding UTF8) {
    if (-not $line) { continue }
    $digest, $name = $line -split "  ", 2
    if ((Get-FileHash -LiteralPath $name -Algorithm SHA256).Hash -ne $digest) {
        throw "$name is missing or was changed on the way: copy the bundle again."
    }
}

if ($Python) { $command = @($Python) } else { $command = @("py", "-@PYTHON@") }
$program = $command[0]
$first = @($command | Select-Object -Skip 1)
$version = & $program @first -c "import sys; print('%d.%d' % sys.version_info[:2])"
if ($version -ne "@PYTHON@") { throw "These wheels are for Python @PYTHON@; name one by -Python." }

& $program @first -m venv $Target
if ($LASTEXITCODE) { throw "The environment could not be made in $Target." }
$ours = Join-Path $Target "Scripts\python.exe"
& $ours -m pip install --isolated --quiet --disable-pip-version-check --no-index --find-links wheels `
    --require-hashes --requirement requirements.txt
if ($LASTEXITCODE) { throw "The wheels could not be installed." }
& (Join-Path $Target "Scripts\qianzhi.exe") --version
Write-Output "Installed. Go on with: $Target\Scripts\qianzhi.exe gateway init"
