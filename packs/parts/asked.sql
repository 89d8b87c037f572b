-- The tables that some rule has consulted for some packet. Those of VRFs are, by one rule for
-- all, if they are anybody's: ask for the column vrf as well.
asked(family, table_id) AS MATERIALIZED (
  SELECT DISTINCT family, table_id FROM kernel_route_rules WHERE action = 'table' AND table_id > 0
)
