-- Where the newest 25,000 changes of the last eleven minutes begin. What osquery can hold is no more than that:
-- who makes many changes must not hide behind the refusal of a query.
newest_change(seq) AS MATERIALIZED (
  SELECT min(n.seq)
  FROM (
    SELECT c.seq
    FROM kernel_route_events c
    WHERE c.time >= CAST(strftime('%s', 'now') AS INTEGER) - 660
    ORDER BY c.seq DESC
    LIMIT 25000
  ) n
)
