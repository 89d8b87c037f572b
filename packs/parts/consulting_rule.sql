-- The rules that consult a table: from which priority on, for which destinations, and for
-- prefixes of more than which length. general is 1 for those by which this host's own packets go
-- that nobody has marked; a rule for some source, user, port or mark is for special traffic. What
-- is inverted (not) is for nearly all: its destinations are taken for any. Rules of one priority are
-- asked in the order in which the kernel tells of them: place is the lower, the earlier.
consulting_rule(rule_id, family, table_id, priority, place, above, dst, first, last, inverted,
    general) AS MATERIALIZED (
  SELECT rule_id, family, table_id, priority, priority * 100000 + row_number() OVER (),
    coalesce(suppress_prefixlength, -1), dst, CASE inverted WHEN 1 THEN substr(dst_first, 1, 2) ELSE dst_first END,
    CASE inverted WHEN 1 THEN substr(dst_first, 1, 2) || 'g' ELSE dst_last END,
    inverted, oif = '' AND (inverted = 1 OR src = '' AND iif IN ('', 'lo') AND coalesce(fwmark, 0) = 0
      AND uid_start IS NULL AND ip_proto IS NULL AND sport_start IS NULL AND dport_start IS NULL
      AND dscp IS NULL AND tos = 0 AND tun_id IS NULL AND flowlabel IS NULL)
  FROM kernel_route_rules
  WHERE action = 'table' AND table_id > 0
)
