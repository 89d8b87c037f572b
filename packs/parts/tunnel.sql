-- The network devices that are tunnels.
tunnel(dev) AS MATERIALIZED (
  SELECT DISTINCT c.dev FROM kernel_interface_config c
  WHERE c.family = 'ipv4' AND c.dev_index > 0 AND (c.dev_kind IN (SELECT kind FROM tunnel_kind)
    OR EXISTS (SELECT 1 FROM tunnel_name n WHERE c.dev LIKE n.pattern))
)
