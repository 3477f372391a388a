#!/bin/sh
# Installs a Debian package over a throwaway copy of this system, runs the server as its unit does, and purges
# the package again: debian.sh PACKAGE. Root runs it in a mount namespace of its own.
set -eu
package=$1

# Writes go to memory: the overlay's upper folder.
place=$(mktemp -d)
mount -t tmpfs tmpfs "$place"
mkdir "$place/upper" "$place/work" "$place/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" "$place/root"
mount -t proc proc "$place/root/proc"
mount --bind /dev "$place/root/dev"
cp "$package" "$place/root/roomful.deb"

cat >"$place/root/inside.sh" <<'INSIDE'
set -eu
step() { echo "== $*"; }

step install
dpkg --install /roomful.deb
for secret in auth.secret api.key; do
    test "$(stat -c %a "/etc/roomful/$secret")" = 600
    test "$(wc -c <"/etc/roomful/$secret")" -gt 32
done
kept=$(cat /etc/roomful/auth.secret)

step "start as the unit does"
unit=/usr/lib/systemd/system/roomful.service
program=$(sed -n 's/^ExecStart=//p' "$unit")
export ROOMFUL_DATA=/var/lib/roomful
# systemd copies the secrets for the node, which runs as a user without a name.
credentials=$(mktemp -d)
cp /etc/roomful/auth.secret "$credentials/auth-secret"
cp /etc/roomful/api.key "$credentials/api-key"
chown -R nobody "$credentials"
install -d -o nobody -m 0700 "$ROOMFUL_DATA" /run/roomful-test
for line in $(sed -n 's/^Environment=\(ROOMFUL_.*_FILE=\)%d/\1/p' "$unit"); do
    export "${line%%=*}=$credentials${line#*=}"
done
export ROOMFUL_PORT_FILE=/run/roomful-test/port
setpriv --reuid nobody --clear-groups $program --listen 127.0.0.1:0 &
server=$!
while [ ! -s "$ROOMFUL_PORT_FILE" ]; do kill -0 "$server"; sleep 0.1; done
ROOMFUL_LISTEN=$(cat "$ROOMFUL_PORT_FILE") roomful health
kill -TERM "$server"
wait "$server"

step "install again, as an upgrade"
dpkg --install /roomful.deb
test "$(cat /etc/roomful/auth.secret)" = "$kept"

step remove
dpkg --remove roomful
test ! -e /usr/bin/roomful
test -e /etc/roomful/auth.secret

step purge
dpkg --purge roomful
test ! -e /etc/roomful
test -e /var/lib/roomful
step done
INSIDE
exec chroot "$place/root" /bin/sh /inside.sh
