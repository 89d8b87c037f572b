-- The rules that known software makes.
known_rule(rule_id) AS MATERIALIZED (
  SELECT r.rule_id FROM kernel_route_rules r CROSS JOIN rule_software s
  WHERE r.priority BETWEEN s.first_priority AND s.last_priority AND r.action = s.action
    AND coalesce(r.table_id, 0) BETWEEN s.first_table AND s.last_table
    AND s.marked = CASE WHEN r.fwmark IS NULL THEN 'no' WHEN r.inverted = 1 THEN 'not' ELSE 'yes' END
    AND (r.fwmark IS NOT NULL OR r.inverted = 0)
    AND r.iif LIKE s.iif AND s.protocol IN ('', r.protocol)
)
