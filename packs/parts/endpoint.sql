-- The routes to VPN servers: those that are listed; if none is, host routes through the gateway
-- of a default route that is no tunnel's, or where the tunnel has taken the place of that, through
-- any gateway, as long as there are no more of them than tunnels that have routes.
endpoint(dst) AS MATERIALIZED (
  SELECT dst FROM tunnel_endpoint
  UNION
  SELECT dst FROM (
    SELECT dst, count(*) OVER () AS candidates FROM (
      SELECT DISTINCT h.dst FROM host_leg h
      WHERE h.gateway <> '' AND h.dst_len = CASE h.family WHEN 'ipv4' THEN 32 ELSE 128 END
        AND h.protocol IN ('boot', 'static') AND h.dev NOT IN (SELECT dev FROM tunnel)
        AND NOT EXISTS (SELECT 1 FROM outside_tunnel o WHERE h.dst LIKE o.dst)
        AND (EXISTS (SELECT 1 FROM default_leg d
            WHERE d.family = h.family AND d.gateway = h.gateway AND d.dev = h.dev)
          OR NOT EXISTS (SELECT 1 FROM default_leg d
            WHERE d.family = h.family AND d.dev NOT IN (SELECT dev FROM tunnel)))))
  WHERE NOT EXISTS (SELECT 1 FROM tunnel_endpoint) AND candidates <= (
    SELECT count(DISTINCT dev) FROM host_leg WHERE dev IN (SELECT dev FROM tunnel))
)
