# Completion of kernel-routes and kernel_routes.ext for fish. Nothing that is typed is
# evaluated: half-written SQL may hold whatever a shell would run.

# __kernel_routes_ask asks the program what completes the word at the cursor.
function __kernel_routes_ask
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
    # The last line is : and a number, which is odd if it failed.
    string match -qr '^:\d*[02468]$' -- $lines[-1]; or return
    printf '%s\n' $lines
end

function __kernel_routes_complete
    set -l lines (__kernel_routes_ask)
    test (count $lines) -gt 1; or return
    # What comes is the value of a flag, without the flag.
    set -l flag (string match -r -- '^--[^=]*=' (commandline -ct))
    for line in $lines[1..-2]
        set -l word (string split -m 1 \t -- "$flag$line")
        set -q word[2]; and set word[2] (string replace -a '`' '' -- $word[2])
        string join \t -- $word
    end
end

# __kernel_routes_files tells whether a file is wanted, which fish completes by itself.
function __kernel_routes_files
    set -l lines (__kernel_routes_ask)
    test (count $lines) -eq 1; and test (math "floor("(string sub -s 2 -- $lines[1])" / 4) % 2") -eq 0
end

for name in kernel-routes kernel_routes.ext
    complete -c $name -e
    complete -c $name -f -a '(__kernel_routes_complete)'
    complete -c $name -n __kernel_routes_files -F
end
