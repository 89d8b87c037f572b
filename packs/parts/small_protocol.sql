-- The protocols of which this host has at most 10,000 unicast routes, so that all of them may be asked
-- for: not those of a daemon that has the Internet's.
small_protocol(protocol) AS MATERIALIZED (
  SELECT protocol FROM kernel_route_counts WHERE type = 'unicast'
  GROUP BY protocol HAVING sum(nexthops) <= 10000
)
