-- The routes of routing daemons that no container network brings along. Interfaces are asked for
-- only where there is something to excuse. Calico can be told to name its devices otherwise, as on
-- top of a cloud's network: a route to each pod over its own cable is its sign then.
daemon_route(family, table_name, protocol, type, dev, routes, ecmp_routes) AS MATERIALIZED (
  SELECT * FROM daemon_count
  WHERE protocol NOT IN (
      SELECT c.protocol
      FROM (SELECT 1 FROM daemon_count LIMIT 1) CROSS JOIN kernel_interface_config i CROSS JOIN cni_protocol c
      WHERE i.effective_forwarding = 1 AND i.dev LIKE c.device)
    AND NOT (protocol IN (SELECT protocol FROM cni_protocol WHERE device = 'cali%')
      AND EXISTS (SELECT 1 FROM kernel_interface_config WHERE dev_kind = 'veth' AND effective_forwarding = 1)
      AND EXISTS (SELECT 1 FROM pod_cable))
)
