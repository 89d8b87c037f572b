-- How many routes there are of routing daemons: counted in the extension, because they may be a
-- million.
daemon_count(family, table_name, protocol, type, dev, routes, ecmp_routes) AS MATERIALIZED (
  SELECT family, table_name, protocol, type, dev, sum(routes), sum(ecmp_routes) FROM kernel_route_counts
  WHERE protocol IN (SELECT protocol FROM routing_protocol)
  GROUP BY family, table_name, protocol, type, dev
)
