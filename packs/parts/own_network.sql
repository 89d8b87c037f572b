-- The networks that this host has an address in. A prefix that is shorter than any network is
-- (DHCP can give a mask of one bit) is none.
own_network(family, dev, first, last) AS MATERIALIZED (
  SELECT family, dev, first, last FROM host_leg
  WHERE gateway = '' AND (protocol = 'kernel' AND dst_len >= CASE family WHEN 'ipv4' THEN 8 ELSE 10 END
    OR protocol = 'ra' AND dst_len >= 64)
)
