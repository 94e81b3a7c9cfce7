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

# Where the registers of the network device are that tell its configuration, if they are in memory: QEMU has
# those of a modern PCI device in BAR 4, those of an MMIO device behind 0x100. The drivers read them once.
net_registers=
find_net_registers() {
    where=$(readlink -f /sys/class/net/eth0/device/..)
    if [ -f "$where/resource" ]; then
        base=$(sed -n '5s/ .*//p' "$where/resource")
        [ "$((base))" = 0 ] || net_registers=$((base + 0x2000))
    else
        base=$(sed -n "s/^ *\([0-9a-f]*\)-[0-9a-f]* : ${where##*/}.*/0x\1/p" /proc/iomem | head -n 1)
        [ -z "$base" ] || net_registers=$((base + 0x100))
    fi
}

# What the device says that its address is: where that is not the interface's, the interface takes it.
mac=
follow_mac() {
    [ -n "$net_registers" ] || return
    low=$(devmem "$net_registers" 32 2> /tmp/err) && high=$(devmem $((net_registers + 4)) 16 2> /tmp/err) || return
    found=$(printf '%02x:%02x:%02x:%02x:%02x:%02x' $((low & 255)) $((low >> 8 & 255)) $((low >> 16 & 255)) \
        $((low >> 24 & 255)) $((high & 255)) $((high >> 8 & 255)))
    [ "$found" = "$mac" ] && return
    [ -z "$mac" ] || ip link set eth0 address "$found"
    mac=$found
    echo "VMIG-MAC $mac"
}

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

[ ! -e /sys/class/net/eth0 ] || find_net_registers
echo "VMIG-DEVICES$devices"

beat=0
while true; do
    beat=$((beat + 1))
    bad=
    for device in $devices; do
        case "$device" in
            vda | sda) check_disk "/dev/$device" "$beat" ;;
            eth0) follow_mac; check_net ;;
            port) echo "beat $beat" > "$port" || bad="$bad port" ;;
            rng) check_rng ;;
        esac
    done
    if [ -z "$bad" ]; then echo "VMIG-BEAT $beat ok"; else echo "VMIG-BEAT $beat BAD$bad"; fi
    sleep 0.3
done
