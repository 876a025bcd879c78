#!/usr/bin/env bash
# Installs the Debian packages whose programs judge pvferry in the tests; does nothing when all of them are there.
# With --check it only says what is missing (exit 1 when something is).
set -euo pipefail

packages=(
  acl            # getfacl, setfacl
  attr           # getfattr, setfattr
  b3sum          # the judge of every file digest
  bindfs         # a file system that keeps less, and mounts beneath a volume
  btrfs-progs    # a btrfs to copy to
  catatonit      # what podman keeps a pod open with
  curl           # a client of proxies
  dante-server   # a proxy for SOCKS5
  e2fsprogs      # an ext4, chattr, filefrag
  fuse-overlayfs # a target volume whose writes come late
  git            # judges what filter rules exclude
  haproxy        # a router of routes
  iproute2       # ss -K kills lanes; ip makes network namespaces
  libcap2-bin    # setcap, capsh
  microsocks     # a smaller one
  mitmproxy      # a man in the middle
  nftables       # what goes wrong on a link
  openssh-client # a client of a bastion
  openssh-server # a bastion
  openssl        # clients with wrong certificates
  podman         # builds the image and runs it
  postgresql     # an application that writes while its volume is copied, and checks what it finds
  rsync          # the second judge, and one half of the benchmark's rival
  runc           # what podman runs containers with
  socat          # peers that are silent or talk nonsense
  squid-openssl  # a proxy for CONNECT, and one that inspects TLS
  strace         # which files an agent opens
  stunnel4       # the other half of the rival
  tinyproxy      # a smaller one, with other answers
  tshark         # what the wire looks like
  xfsprogs       # an xfs
)

missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0

if [[ ${1-} == --check ]]; then
  echo "missing packages: ${missing[*]}" >&2
  exit 1
fi
echo "installing the tests' system packages: ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive

# Some are servers. The tests start their own; as services nobody has asked for them, neither now nor after a reboot.
readonly policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  trap 'rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
fi
apt-get update -qq >&2
apt-get install -y -qq --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null
if command -v systemctl >/dev/null; then
  dpkg --listfiles "${missing[@]}" | sed -n 's#^\(/usr\)\?/lib/systemd/system/\([^@]*\.service\)$#\2#p' |
    xargs --no-run-if-empty systemctl --quiet disable >/dev/null
fi
