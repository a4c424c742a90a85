#!/bin/sh
# Our HTTP server with a browser: Chromium loads a page from it, which fetches, posts a form, gets a cookie back, follows
# events, and downloads a file.
set -eu
program=$1/tests/program-http
[ -x "$program" ] && command -v python3 >/dev/null || exit 77
here=$(cd -- "$(dirname -- "$0")" && pwd)
PYTHONPATH=$here/lib python3 -c 'import browser, sys; sys.exit(browser.find() is None)' || exit 77
. "$here/lib/scratch.sh"

mkdir "$work/site"
head -c 3000000 /dev/urandom >"$work/site/large"
cat >"$work/site/index.html" <<'HTML'
<!doctype html>
<title>page</title>
<link rel="stylesheet" href="style.css">
<script src="script.js"></script>
<form action="/form" method="post"><input name="name" value="a b"><input name="text" value="&uuml;&amp;=%"></form>
HTML
printf 'body { color: rgb(1, 2, 3) }\n' >"$work/site/style.css"
printf 'var loaded = "script";\n' >"$work/site/script.js"
(cd "$work/site" && exec "$program" >"$work/port" 2>"$work/err") &
pids=$!
until_true grep -q PORT "$work/port" || fail 'the server does not start'
PYTHONPATH=$here/lib timeout 300 python3 "$here/http_browser.py" "$(sed -n 's/^PORT //p' "$work/port")" "$work/site/large" \
    >"$work/out" 2>&1 || fail 'Chromium meets something else'
[ ! -s "$work/err" ] || fail 'the server has said something'
[ "$failures" -eq 0 ]
