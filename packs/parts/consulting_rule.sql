-- The rules that consult a table: from which priority on, for which destinations, and for
-- prefixes of more than which length. general is 1 for those by which this host's own packets go
-- that nobody has marked; a rule for some source, user, port or mark is for special traffic. What
-- is inverted (not) is for nearly all: its destinations are taken for any. Rules of one priority are
-- asked in the order in which the kernel tells of them: place is the lower, the earlier. What a rule
-- passes over (goto) comes after all.
consulting_rule(rule_id, family, table_id, priority, place, above, dst, first, last, inverted,
    general) AS MATERIALIZED (
  WITH rule AS MATERIALIZED (
    SELECT rule_id, family, action, table_id, priority, suppress_prefixlength, goto_priority,
      goto_unresolved, dst, dst_first, dst_last, inverted, priority * 100000 + row_number() OVER () AS place,
      oif = '' AND (inverted = 1 OR src = '' AND iif IN ('', 'lo') AND coalesce(fwmark, 0) = 0
        AND uid_start IS NULL AND ip_proto IS NULL AND sport_start IS NULL AND dport_start IS NULL
        AND dscp IS NULL AND tos = 0 AND tun_id IS NULL AND flowlabel IS NULL) AS general
    FROM kernel_route_rules
  ),
  jump AS MATERIALIZED (
    SELECT family, place, goto_priority FROM rule WHERE action = 'goto' AND NOT goto_unresolved
      AND general AND (dst = '' OR inverted)
  ),
  asked_rule AS (
    SELECT r.*, EXISTS (SELECT 1 FROM jump j WHERE j.family = r.family AND j.place < r.place
      AND j.goto_priority > r.priority) AS passed
    FROM rule r WHERE r.action = 'table' AND r.table_id > 0
  )
  SELECT rule_id, family, table_id, priority, place + passed * 1000000000000000,
    coalesce(suppress_prefixlength, -1), dst, CASE inverted WHEN 1 THEN substr(dst_first, 1, 2) ELSE dst_first END,
    CASE inverted WHEN 1 THEN substr(dst_first, 1, 2) || 'g' ELSE dst_last END, inverted, general AND NOT passed
  FROM asked_rule
)
