-- The networks, as wide as /16 (IPv6: /48), in which this host's pods have addresses: container
-- networks route the blocks of other nodes in there, and pods one by one.
pod_network(family, start) AS MATERIALIZED (
  SELECT DISTINCT h.family, substr(h.first, 1, CASE h.family WHEN 'ipv4' THEN 6 ELSE 14 END)
  FROM host_leg h JOIN pod_device p ON h.dev LIKE p.pattern
  WHERE h.dst_len >= CASE h.family WHEN 'ipv4' THEN 16 ELSE 48 END
    AND h.first < CASE h.family WHEN 'ipv4' THEN '4:e' ELSE '6:fe8' END
)
