-- Cables (veth) of any name that lead to one container or pod each: what is routed over them on the
-- link are single addresses. A network card that is one, as inside of a container, has a network or
-- a default route.
pod_cable(dev) AS MATERIALIZED (
  SELECT dev FROM kernel_route_nexthops
  WHERE dev_kind = 'veth' AND type = 'unicast' AND gateway = '' AND dst NOT LIKE 'fe80:%' AND dst NOT LIKE 'ff%'
    AND dev NOT IN (SELECT dev FROM kernel_route_counts WHERE type = 'unicast' AND default_routes > 0)
  GROUP BY dev HAVING min(dst_first = dst_last AND protocol <> 'kernel')
)
