-- Routes of one family, table and protocol. They are listed one by one unless that makes too many rows
-- (of routes, and of nexthops where routes have several): the smallest groups first, 8000 rows in all.
-- Multicast routing's entries come and go with traffic, and are in no group.
route_group(family, table_id, table_name, protocol, ecmp_routes, listed) AS MATERIALIZED (
  SELECT family, table_id, table_name, protocol, ecmp_routes,
    sum(size) OVER (ORDER BY size, family, table_id, protocol) <= 8000
  FROM (
    SELECT family, table_id, table_name, protocol, sum(ecmp_routes) AS ecmp_routes,
      sum(CASE WHEN ecmp_routes > 0 THEN routes + nexthops ELSE routes END) AS size
    FROM kernel_route_counts
    WHERE family IN ('ipv4', 'ipv6', 'mpls')
    GROUP BY family, table_id, table_name, protocol
  )
)
