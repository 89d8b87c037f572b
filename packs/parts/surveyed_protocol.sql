-- The protocols whose routes are looked at one by one where a host has a tunnel: all but those of
-- routing daemons with more routes than osquery can be sent. A tunnel is what routes are compared
-- with, so that nothing is counted without one.
surveyed_protocol(protocol) AS MATERIALIZED (
  SELECT c.protocol FROM (SELECT 1 FROM tunnel LIMIT 1) CROSS JOIN kernel_route_counts c
  WHERE c.type = 'unicast'
  GROUP BY c.protocol
  HAVING sum(c.nexthops) <= 20000
    OR c.protocol IN ('kernel', 'boot', 'static', 'dhcp', 'ra', 'redirect', 'unspec')
)
