#!/bin/busybox sh
# Process 1 of the guest. Loads the virtio drivers, then for ever: works every device that is there,
# and says on the console whether all was as it should be. The beat's number lives in this shell's
# memory only: a guest that was carried over goes on counting, a guest that was booted anew does not.

bb=/bin/busybox
$bb --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "/lib/$module.ko" || echo "VMIG-NOTE insmod $module failed"
done < /lib/order

# Drivers probe devices on their own time; half a dozen looks are enough on a slow emulator.
tries=0
while [ "$tries" -lt 30 ] && [ ! -e /dev/vda ]; do sleep 0.2; tries=$((tries + 1)); done
sleep 1
if [ -e /sys/class/net/eth0 ]; then
    ip addr add 10.0.2.15/24 dev eth0
    ip link set eth0 up
fi

# Blocks a disk is written in turn: 4096 bytes, told apart by the beat that wrote them.
blocks=256

pattern() { # beat
    yes "beat $1 on this disk" | head -c 4096
}

write_block() { # disk beat
    pattern "$2" > /tmp/out
    dd if=/tmp/out of="$1" bs=4096 count=1 seek=$(($2 % blocks)) oflag=direct conv=notrunc 2> /tmp/err
}

check_block() { # disk beat
    dd if="$1" of=/tmp/in bs=4096 count=1 skip=$(($2 % blocks)) iflag=direct 2> /tmp/err || return 1
    pattern "$2" > /tmp/expected
    cmp -s /tmp/in /tmp/expected
}

check_disk() { # disk beat
    write_block "$1" "$2" || { bad="$bad write:$1"; return; }
    check_block "$1" "$2" || bad="$bad read:$1"
    # Also one that was written a while ago: after a restore, by the guest's former host.
    [ "$2" -le 4 ] || check_block "$1" $(($2 - 4)) || bad="$bad old:$1"
}

check_net() {
    ping -c 1 -W 2 -q 10.0.2.2 > /tmp/ping 2>&1 && return
    ping -c 3 -W 3 -q 10.0.2.2 > /tmp/ping 2>&1 || bad="$bad ping"
}

check_rng() {
    [ "$(head -c 16 /dev/hwrng 2> /tmp/err | wc -c)" = 16 ] || bad="$bad rng"
}

devices=
for path in /dev/vda /dev/sda /sys/class/net/eth0 /dev/vport0p1 /dev/vport1p1 /dev/vport2p1; do
    [ -e "$path" ] && devices="$devices ${path##*/}"
done
rng=$(cat /sys/class/misc/hw_random/rng_current 2> /tmp/err)
case "$rng" in virtio*) devices="$devices rng" ;; esac
echo "VMIG-DEVICES$devices"

beat=0
while true; do
    beat=$((beat + 1))
    bad=
    for device in $devices; do
        case "$device" in
            vda | sda) check_disk "/dev/$device" "$beat" ;;
            eth0) check_net ;;
            vport*) echo "beat $beat" > "/dev/$device" || bad="$bad $device" ;;
            rng) check_rng ;;
        esac
    done
    if [ -z "$bad" ]; then echo "VMIG-BEAT $beat ok"; else echo "VMIG-BEAT $beat BAD$bad"; fi
    sleep 0.3
done
