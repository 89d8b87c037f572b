-- The rules by which tables are consulted for this host's own packets that nobody has marked:
-- in which order, for which destinations, and for prefixes of more than which length.
-- A rule for some source, user, port or mark is for special traffic.
consulted(family, table_id, priority, above, first, last) AS MATERIALIZED (
  SELECT family, table_id, priority, coalesce(suppress_prefixlength, -1), dst_first, dst_last
  FROM kernel_route_rules
  WHERE action = 'table' AND table_id > 0 AND oif = '' AND (inverted = 1 OR
    src = '' AND iif IN ('', 'lo') AND fwmark IS NULL AND uid_start IS NULL AND ip_proto IS NULL
    AND sport_start IS NULL AND dport_start IS NULL AND dscp IS NULL AND tos = 0 AND tun_id IS NULL)
)
