-- The routes to VPN servers: those that are listed; if none is, host routes through the gateway
-- of a default route that is no tunnel's, or where the tunnel has taken the place of that, through
-- any gateway, as long as there are no more of them than tunnels that have routes. Of the first sort
-- if there are any, and of those that have a protocol which the tunnels' own routes have.
endpoint(dst) AS MATERIALIZED (
  SELECT dst FROM tunnel_endpoint
  UNION
  SELECT dst FROM (
    SELECT dst, count(*) OVER () AS candidates FROM (
      SELECT dst, by_default * 2 + by_protocol AS likely, max(by_default * 2 + by_protocol) OVER () AS likeliest
      FROM (
        SELECT DISTINCT h.dst, h.protocol IN (SELECT protocol FROM host_leg WHERE dev IN (SELECT dev FROM tunnel))
          AS by_protocol, EXISTS (SELECT 1 FROM default_leg d
            WHERE d.family = h.family AND d.gateway = h.gateway AND d.dev = h.dev) AS by_default,
          h.gateway <> '' AND NOT EXISTS (SELECT 1 FROM default_leg d
            WHERE d.family = h.family AND d.dev NOT IN (SELECT dev FROM tunnel)) AS by_any
        FROM host_leg h
        WHERE h.dst_len = CASE h.family WHEN 'ipv4' THEN 32 ELSE 128 END
          AND h.protocol IN ('boot', 'static') AND h.dev NOT IN (SELECT dev FROM tunnel)
          AND NOT EXISTS (SELECT 1 FROM outside_tunnel o WHERE h.dst LIKE o.dst))
      WHERE by_default OR by_any)
    WHERE likely = likeliest)
  WHERE NOT EXISTS (SELECT 1 FROM tunnel_endpoint) AND candidates <= (
    SELECT count(DISTINCT dev) FROM host_leg WHERE dev IN (SELECT dev FROM tunnel))
)
