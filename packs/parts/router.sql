-- One row, if this host is a router: by its address, or while none is listed, by what it does. A
-- device counts if anything is routed over it but what is link-local, so that no port of a bridge
-- does. A router may have all of its neighbours on one network; a host of containers forwards there
-- anyway.
router(evidence) AS MATERIALIZED (
  SELECT 'address' FROM (SELECT 1 FROM router_address LIMIT 1) CROSS JOIN kernel_routes r
  WHERE r.type = 'local' AND r.dst IN (SELECT dst FROM router_address)
  UNION
  SELECT 'routes' FROM (SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM router_address)) CROSS JOIN daemon_route r
  WHERE r.ecmp_routes > 0 AND (SELECT max(is_container) FROM forwarding_device) = 0
    OR (SELECT count(DISTINCT dev) FROM forwarding_device WHERE NOT is_container AND NOT is_tunnel
      AND dev IN (SELECT dev FROM kernel_route_counts
        WHERE type = 'unicast' AND (family = 'ipv4' OR protocol <> 'kernel' OR routes > 1))) > 1
)
