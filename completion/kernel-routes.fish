# Completion of kernel-routes and kernel_routes.ext for fish. Nothing that is typed is
# evaluated: half-written SQL may hold whatever a shell would run.

function __kernel_routes_complete
    set -l typed (commandline -opc)
    set -l current (commandline -ct | string trim --left --chars="\"'")
    set -l program (string replace -r '^~/' "$HOME/" -- $typed[1])
    if not type -q -- $program; or not contains (string replace -r '.*/' '' -- $program) kernel-routes kernel_routes.ext
        set program
        for name in kernel-routes kernel_routes.ext /usr/lib/osquery/extensions/kernel_routes.ext
            if type -q -- $name
                set program $name
                break
            end
        end
        set -q program[1]; or return
    end
    set -l lines (command $program __complete $typed[2..-1] "$current" 2>/dev/null </dev/null)
    # The last line is : and a number.
    set -l directive (string match -r '^:(\d+)$' -- $lines[-1])[2]
    test -n "$directive"; or return
    test (math "$directive % 2") -eq 1; and return # it failed
    # What comes is the value of a flag, without the flag.
    set -l flag (string match -r -- '^--[^=]*=' "$current")
    if test (count $lines) -gt 1
        for line in $lines[1..-2]
            string replace -a '`' '' -- "$flag$line"
        end
    else if test (math "floor($directive / 4) % 2") -eq 0
        __fish_complete_path (string replace -- "$flag" '' "$current") | string replace -r '^' -- "$flag"
    end
end

for name in kernel-routes kernel_routes.ext
    complete -c $name -e
    complete -c $name -f -a '(__kernel_routes_complete)'
end
