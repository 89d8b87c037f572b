-- The rules by which tables are consulted for this host's own packets that nobody has marked:
-- in which order, for which destinations, and for prefixes of more than which length.
consulted(family, table_id, priority, above, first, last) AS MATERIALIZED (
  SELECT family, table_id, priority, above, first, last FROM consulting_rule WHERE general
)
