-- The changes of the last eleven minutes by a program that process_writer does not have, or that had
-- ended before it could be seen. Of one that was just ending the name and the control group are known,
-- but no path: then the list has to name the group, as for a container, in which any file may have any
-- path. A program that was updated since it was started has " (deleted)" behind its path.
stranger_change(seq) AS (
  SELECT e.seq
  FROM kernel_route_events e
  WHERE e.time >= CAST(strftime('%s', 'now') AS INTEGER) - 660 AND e.seq >= (SELECT seq FROM newest_change)
    AND e.object IN ('route', 'rule', 'nexthop') AND e.action IN ('added', 'replaced', 'appended', 'deleted')
    AND e.author_certainty IN ('process', 'other socket', 'other namespace', 'unknown')
    -- What is found by comparison, after a loss, is nobody's in particular, and has no port. Port 0 that
    -- is not the kernel's is a program that asked by ioctl.
    AND e.port_id IS NOT NULL
    AND NOT EXISTS (
      SELECT 1
      FROM process_writer w
      WHERE e.cgroup LIKE w.cgroup
        AND (w.cgroup <> '%' OR NOT EXISTS (SELECT 1 FROM container_cgroup g WHERE e.cgroup LIKE g.pattern))
        AND (CASE WHEN e.process_path LIKE '% (deleted)' THEN substr(e.process_path, 1, length(e.process_path) - 10)
            ELSE e.process_path END LIKE w.path
          OR e.process_path = '' AND e.process_name <> '' AND w.cgroup <> '%'
            AND substr(w.path, -length(e.process_name) - 1) = '/' || e.process_name)
    )
)
