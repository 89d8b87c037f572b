-- Cables (veth) of any name that lead to one container or pod each: what is routed over them on the
-- link are single addresses. A network card that is one, as inside of a container, has a network or
-- a default route. By protocol, for osquery does not tell a table that gateway is ''.
pod_cable(dev) AS MATERIALIZED (
  SELECT dev FROM kernel_route_nexthops
  WHERE dev_kind = 'veth' AND type = 'unicast' AND protocol IN ('kernel', 'boot', 'static', 'dhcp', 'ra', '80')
    AND gateway = '' AND dst NOT LIKE 'fe80:%' AND dst NOT LIKE 'ff%'
    AND NOT (family = 'ipv6' AND protocol = 'kernel' AND dst_len = 128) -- an address has a route to itself
    AND dev NOT IN (SELECT dev FROM kernel_route_counts WHERE type = 'unicast' AND default_routes > 0)
  GROUP BY dev HAVING min(dst_first = dst_last AND protocol <> 'kernel')
)
