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

# The host says on the kernel's command line which devices there are; their drivers take their time.
wanted=$(sed -n 's/.*vmig\.devices=\([^ ]*\).*/\1/p' /proc/cmdline | tr , ' ')

present() { # device
    case "$1" in
        vda | sda) [ -b "/dev/$1" ] ;;
        eth0) [ -e /sys/class/net/eth0 ] ;;
        port) port=$(echo /dev/vport*p1) && [ -c "$port" ] ;;
        rng) case "$(cat /sys/class/misc/hw_random/rng_current 2> /tmp/err)" in virtio*) true ;; *) false ;; esac ;;
        *) false ;;
    esac
}

devices=
for device in $wanted; do
    tries=0
    until present "$device" || [ "$tries" -ge 60 ]; do sleep 0.5; tries=$((tries + 1)); done
    present "$device" && devices="$devices $device"
done
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

echo "VMIG-DEVICES$devices"

beat=0
while true; do
    beat=$((beat + 1))
    bad=
    for device in $devices; do
        case "$device" in
            vda | sda) check_disk "/dev/$device" "$beat" ;;
            eth0) check_net ;;
            port) echo "beat $beat" > "$port" || bad="$bad port" ;;
            rng) check_rng ;;
        esac
    done
    if [ -z "$bad" ]; then echo "VMIG-BEAT $beat ok"; else echo "VMIG-BEAT $beat BAD$bad"; fi
    sleep 0.3
done
