-- The addresses of this host, and those that it takes for its own: prefixes of type local.
local_address(family, dst, dst_len, vrf, dev) AS MATERIALIZED (
  SELECT family, dst, dst_len, vrf, dev FROM kernel_route_nexthops WHERE type = 'local'
)
