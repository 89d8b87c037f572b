-- The network devices that forward what comes in, and which of them are ways to containers and
-- virtual machines, or tunnels. Routes are asked for only where a cable's name does not tell.
forwarding_device(family, dev, dev_kind, vrf, is_container, is_tunnel) AS MATERIALIZED (
  SELECT family, dev, dev_kind, vrf,
    CASE WHEN EXISTS (SELECT 1 FROM container_device c WHERE i.dev LIKE c.pattern) THEN 1
      WHEN dev_kind = 'veth' THEN dev IN (SELECT dev FROM pod_cable) ELSE 0 END,
    i.dev_kind IN (SELECT kind FROM tunnel_kind) OR EXISTS (SELECT 1 FROM tunnel_name n WHERE i.dev LIKE n.pattern)
  FROM kernel_interface_config i
  WHERE effective_forwarding = 1 AND dev <> 'lo'
)
