-- The families that the kernel has. Where IPv6 is off from the start (ipv6.disable=1), a look-up
-- of an IPv6 address would be an error.
host_family(family) AS MATERIALIZED (
  SELECT DISTINCT family FROM kernel_interface_config WHERE dev = 'lo'
)
