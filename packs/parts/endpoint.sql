-- The routes to VPN servers: those that are listed; if none is, host routes through the gateway
-- of a default route, as long as there are no more of them than tunnels.
endpoint(dst) AS MATERIALIZED (
  SELECT dst FROM tunnel_endpoint
  UNION
  SELECT dst FROM (
    SELECT dst, count(*) OVER () AS candidates FROM (
      SELECT DISTINCT h.dst FROM host_leg h
      JOIN default_leg d ON d.family = h.family AND d.gateway = h.gateway AND d.dev = h.dev
      WHERE h.gateway <> '' AND h.dst_len = CASE h.family WHEN 'ipv4' THEN 32 ELSE 128 END
        AND h.protocol IN ('boot', 'static')))
  WHERE candidates <= (SELECT count(*) FROM tunnel) AND NOT EXISTS (SELECT 1 FROM tunnel_endpoint)
)
