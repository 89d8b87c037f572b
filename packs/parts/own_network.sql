-- The networks that this host has an address in. IPv4's have a broadcast address, whoever made the
-- route (dhcpcd does), unless they are of one or two addresses; IPv6's are the kernel's or of router
-- advertisements. A prefix that is shorter than any network is (DHCP can give a mask of one bit) is none.
own_network(family, dev, first, last) AS MATERIALIZED (
  SELECT DISTINCT h.family, h.dev, h.first, h.last FROM host_leg h
  WHERE h.gateway = '' AND CASE h.family
    WHEN 'ipv4' THEN h.dst_len > 30 AND h.protocol = 'kernel' OR h.dst_len >= 8 AND EXISTS (
      SELECT 1 FROM broadcast b WHERE b.dev = h.dev AND b.address = h.last)
    ELSE h.protocol = 'kernel' AND h.dst_len >= 10 OR h.protocol = 'ra' AND h.dst_len >= 64 END
)
