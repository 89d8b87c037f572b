-- The nexthops of default routes, of all tables and whoever made them.
default_leg(route_id, family, table_id, table_name, vrf, protocol, dst, metric, tos, gateway,
    gateway_family, dev, flag_names) AS MATERIALIZED (
  SELECT route_id, family, table_id, table_name, vrf, protocol, dst, metric, tos, gateway,
    gateway_family, dev, flag_names
  FROM kernel_route_nexthops
  WHERE type = 'unicast' AND dst IN ('0.0.0.0/0', '::/0')
)
