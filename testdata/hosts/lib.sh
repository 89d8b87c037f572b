uplink() {
  ip link add "$1" type veth peer name "$1p" netns "$OUTSIDE"
  nsenter -t "$OUTSIDE" -n ip link set "$1p" up
  ip link set "$1" up
}
