# Sets $node to a Node that runs TypeScript: the checkout's own, else the system's if it is 22.18 or newer.
# Sourced by the launcher and by scripts/bootstrap.sh with $root set.
node=
for candidate in "$root/node_modules/.bin/node" node; do
  if version=$("$candidate" -p 'process.versions.node' 2>/dev/null); then
    major=${version%%.*}
    rest=${version#*.}
    minor=${rest%%.*}
    if [ "$major" -gt 22 ] || { [ "$major" -eq 22 ] && [ "$minor" -ge 18 ]; }; then
      node=$candidate
      break
    fi
  fi
done
if [ -z "$node" ]; then
  echo "lockstep needs Node 22.18 or newer; the path has $(node --version 2>/dev/null || echo none)." >&2
  echo "Run \`npm ci\` in $root with install scripts allowed (it brings a newer Node along), or install one." >&2
  exit 20
fi
