-- One row, if this host is a router: by its address, or while none is listed, by what it does.
-- Routes are counted only where it forwards.
router(evidence) AS MATERIALIZED (
  SELECT 'address' FROM (SELECT 1 FROM router_address LIMIT 1) CROSS JOIN kernel_routes r
  WHERE r.type = 'local' AND r.dst IN (SELECT dst FROM router_address)
  UNION
  SELECT 'routes' WHERE NOT EXISTS (SELECT 1 FROM router_address)
    AND (SELECT count(DISTINCT dev) FROM forwarding_device WHERE NOT is_container AND NOT is_tunnel) > 1
    AND EXISTS (SELECT 1 FROM daemon_route)
)
