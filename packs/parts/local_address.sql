-- The addresses of this host, and those that it takes for its own: prefixes of type local. Those of other tables
-- than local and VRFs' are none: by 0.0.0.0/0 a transparent proxy takes packets that somebody has marked.
local_address(family, dst, dst_len, first, last, vrf, dev) AS MATERIALIZED (
  SELECT family, dst, dst_len, dst_first, dst_last, vrf, dev FROM kernel_route_nexthops
  WHERE type = 'local' AND (table_id = 255 OR vrf <> '')
)
