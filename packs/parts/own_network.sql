-- The networks that this host has an address in: the kernel's, and where a DHCP client makes them
-- itself (dhcpcd) the longest prefix on the link that has the address. A prefix that is shorter
-- than any network is (DHCP can give a mask of one bit) is none.
own_network(family, dev, first, last) AS MATERIALIZED (
  SELECT family, dev, first, last FROM host_leg
  WHERE gateway = '' AND (protocol = 'kernel' AND dst_len >= CASE family WHEN 'ipv4' THEN 8 ELSE 10 END
    OR protocol = 'ra' AND dst_len >= 64)
  UNION
  SELECT family, dev, first, last FROM (
    SELECT h.family, h.dev, h.first, h.last, max(h.dst_len) AS dst_len
    FROM kernel_route_nexthops a CROSS JOIN host_leg h ON h.family = a.family AND h.dev = a.dev
      AND a.dst_first BETWEEN h.first AND h.last
    WHERE a.type = 'local' AND a.dev IN (
        SELECT dev FROM host_leg WHERE gateway = '' AND protocol IN ('dhcp', 'ra', 'static'))
      AND h.gateway = '' AND h.dst_len < CASE h.family WHEN 'ipv4' THEN 32 ELSE 128 END
    GROUP BY a.family, a.dev, a.dst_first)
  WHERE dst_len >= CASE family WHEN 'ipv4' THEN 8 ELSE 10 END
)
