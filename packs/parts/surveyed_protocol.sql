-- The protocols whose routes are looked at one by one where a host has a tunnel: all but those of
-- routing daemons with more routes than osquery can be sent, 10,000 nexthops together, those with the
-- fewest first. A tunnel is what routes are compared with, so that nothing is counted without one.
surveyed_protocol(protocol) AS MATERIALIZED (
  SELECT protocol FROM (
    SELECT protocol, by_daemon, sum(nexthops * by_daemon) OVER (ORDER BY nexthops, protocol) AS together FROM (
      SELECT c.protocol, sum(c.nexthops) AS nexthops,
        c.protocol NOT IN ('kernel', 'boot', 'static', 'dhcp', 'ra', 'redirect', 'unspec') AS by_daemon
      FROM (SELECT 1 FROM tunnel LIMIT 1) CROSS JOIN kernel_route_counts c
      WHERE c.type = 'unicast'
      GROUP BY c.protocol))
  WHERE NOT by_daemon OR together <= 10000
)
