-- The nexthops of routes that a host has of its own: those of the kernel, of people, of DHCP and
-- of router advertisements, but none of routing daemons, which may be a million.
host_leg(route_id, family, table_id, table_name, vrf, protocol, scope, dst, dst_len, first, last,
    metric, gateway, dev) AS MATERIALIZED (
  SELECT route_id, family, table_id, table_name, vrf, protocol, scope, dst, dst_len, dst_first,
    dst_last, metric, gateway, dev
  FROM kernel_route_nexthops
  WHERE type = 'unicast' AND protocol IN ('kernel', 'boot', 'static', 'dhcp', 'ra', 'redirect', 'unspec')
)
