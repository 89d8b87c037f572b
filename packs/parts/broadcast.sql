-- The broadcast addresses of networks, which the kernel makes with the addresses that a host has in
-- them, also where it is told to make no route to the network.
broadcast(dev, address) AS MATERIALIZED (
  SELECT dev, dst_first FROM kernel_route_nexthops WHERE family = 'ipv4' AND type = 'broadcast'
)
